"""Apps that `just app` makes: they pass all checks, and people can use their pages."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.bakery import Project, production_environment
from tests.browsing import Visit
from tests.services import Caddy
from tests.serving import serve

ROWS = {
    "with an API": {"task_queue": "database", "api": "drf"},
    "without an API": {
        "database": "sqlite",
        "cache": "database",
        "media_storage": "filesystem",
        "login": "email",
    },
    "other": {
        "interface": "asgi",
        "database": "mysql",
        "media_storage": "none",
        "task_queue": "celery",
        "api": "ninja",
    },
}


def projects(*names: str):
    params = []
    for name in names:
        marks = [pytest.mark.xdist_group(f"app {name}")]
        marks += [pytest.mark.long] if name == "other" else []
        params.append(pytest.param(name, marks=marks))
    return pytest.mark.parametrize("project", params, indirect=True)


every_project = projects(*ROWS)
project_with_api = projects("with an API")
project_without_api = projects("without an API")

TESTING = {"DJANGO_SETTINGS_MODULE": "config.settings.testing"}
# What a query forgets, and the tests of the app that notice it.
FORGOTTEN = {
    '.select_related("owner")': [
        "test_the_list_asks_twice_however_long_it_is",
        "test_the_pages_find_all_relations_that_they_show",
    ],
    '.prefetch_related("tags")': ["test_the_list_asks_twice_however_long_it_is"],
}
BAD_NAMES = """
    Foo-Bar foo-bar Shelf 1st _hidden trailing_ two__parts é ../notes a/b s class json
    core tests static media users pages shelves groups password notes:Note books:book
    books:Shelf books:User books:a-b
"""
TRY_NAMES = """
from django.core.management import CommandError, call_command
for name in {names}:
    try:
        call_command("startapp", *name.split(":"))
    except CommandError as error:
        print(name, error, sep="|")
    else:
        print(name, "was made", sep="|")
"""
EXPLAIN = """
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from apps.shelves.models import Shelf
from apps.users.models import User
owner = User.objects.create_user("ada")
with connection.cursor() as cursor:
    cursor.execute(
        "INSERT INTO shelves_shelf (owner_id, title, attachment, created_at)"
        " SELECT %s, 'one', '', now() - number * interval '1 minute'"
        " FROM generate_series(1, 100000) AS number", [owner.pk])
    cursor.execute("ANALYZE shelves_shelf")
    last = Shelf.objects.order_by("created_at")[100]
    for query in ("", f"?after={last.pk}"):
        with CaptureQueriesContext(connection) as captured:
            assert Client().get(f"/shelves/{query}").status_code == 200
        sql = next(each["sql"] for each in captured if "LIMIT 51" in each["sql"])
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF) " + sql)
        print(*(row[0] for row in cursor.fetchall()), sep="\\n", end="\\n\\n")
"""
FILL = """
from apps.shelves.tests.factories import ShelfFactory
from apps.users.models import User
names = {"first_name": "Ada", "last_name": "Lovelace"}
ada = User.objects.create_superuser("ada@shop.test", "correct horse", **names)
ShelfFactory.create_batch(60, owner=ada)
"""


@pytest.fixture(scope="module")
def make(tmp_path_factory) -> Callable[[str], Project]:
    """Bake and commit a project once for each row, then make two apps in it."""
    made: dict[str, Project] = {}

    def make(name: str) -> Project:
        if name not in made:
            project = Project.bake(tmp_path_factory.mktemp("app"), **ROWS[name])
            project.sync()
            project.commit()
            project.execute("just", "app", "shelves", "Shelf")
            project.execute("just", "app", "notes")
            made[name] = project
        return made[name]

    return make


@pytest.fixture
def project(request, make) -> Project:
    return make(request.param)


@every_project
def test_two_apps_pass_all_checks_at_once(project, services, type_cache):
    env = production_environment(project.answers, services)
    shared = {name: env[name] for name in ("DATABASE_URL",) if name in env}
    shared |= {"MYPY_CACHE_DIR": str(type_cache)}
    before = project.status()
    output = project.execute("just", "check", env=shared).stdout
    assert re.search(r"^=+ \d+ passed in [\d.]+s", output, re.MULTILINE)
    assert project.status() == before
    for name in ("shelves", "notes"):
        assert (project.path / f"apps/{name}/migrations/0001_initial.py").exists()
        files = project.path.glob(f"apps/{name}/**/*.*")
        text = "".join(path.read_text() for path in files if path.suffix != ".pyc")
        has_files = project.answers["media_storage"] != "none"
        assert ("FileField" in text) == ("attachment" in text) == has_files
        assert "gadget" not in text.lower()
    deploy = ("check", "--deploy", "--fail-level", "WARNING")
    project.manage(*deploy, env=env)


@project_without_api
@pytest.mark.parametrize("call", FORGOTTEN)
def test_a_query_that_forgets_a_relation_fails(project, tmp_path, call):
    copy = project.copy(tmp_path)
    copy.replace("apps/shelves/models.py", call, "")
    tests = ("pytest", "--quiet", "-p", "no:randomly", "apps/shelves")
    output = copy.execute(*tests, check=False).stdout
    failed = re.findall(r"^FAILED \S+::(\w+)", output, re.MULTILINE)
    assert failed == FORGOTTEN[call]


@project_with_api
def test_an_index_leads_to_each_page_of_the_list(project, services):
    env = TESTING | {"DATABASE_URL": services.postgresql.create_database()}
    project.manage("migrate", env=env)
    command = ("shell", "--no-imports", "--command", EXPLAIN)
    plans = project.manage(*command, env=env).stdout.strip().split("\n\n")
    assert len(plans) == 2
    for plan in plans:
        assert "Index Scan using shelves_" in plan
        assert not re.search("Seq Scan on shelves_shelf|Sort", plan), plan
        assert not re.search(r"Rows Removed by Filter: \d\d", plan), plan


@project_with_api
def test_a_bad_name_gets_one_sentence_and_writes_nothing(project, tmp_path):
    copy = project.copy(tmp_path)
    copy.commit()
    names = BAD_NAMES.split()
    command = ("shell", "--no-imports", "--command", TRY_NAMES.format(names=names))
    answers = copy.manage(*command, env=TESTING).stdout.splitlines()
    assert [answer.partition("|")[0] for answer in answers] == names
    assert not [answer for answer in answers if answer.endswith("|was made")]
    assert copy.status() == ""
    refused = copy.execute("just", "app", "Foo-Bar", check=False)
    assert refused.returncode
    assert "CommandError: 'Foo-Bar' cannot name an app: use a-z," in refused.stderr
    assert "Traceback" not in refused.stderr
    copy.replace("config/urls.py", "# just app NAME adds", "# Apps")
    refused = copy.execute("just", "app", "books", check=False)
    assert "is lost in config/: put it back." in refused.stderr
    assert copy.status().split() == ["M", "config/urls.py"]


@project_without_api
def test_pages_are_for_everybody(
    project, services, page, axe, tmp_path, record_property
):
    copy = project.copy(tmp_path)
    env = production_environment(copy.answers, services)
    copy.manage("migrate", env=env)
    copy.manage("collectstatic", "--noinput", env=env)
    copy.manage("shell", "--no-imports", "--command", FILL, env=env)
    page.emulate_media(reduced_motion="reduce")
    visit = Visit(page)
    with (
        serve(copy, env, tmp_path) as server,
        Caddy(tmp_path / "caddy", copy.path, urlsplit(server.url).port) as caddy,
    ):
        count = use_pages(visit, caddy.url, axe)
    assert not visit.complaints, "\n".join(visit.complaints)
    figure = f"{count} looks at {len(visit.seen)} pages: 0 barriers, 0 violations"
    record_property("figure", figure)


def use_pages(visit: Visit, site: str, axe: str) -> int:
    """Use the pages with and without a log-in; return how often axe looked."""
    page = visit.page
    looks = 0
    visit.open("home", site)
    looks += visit.look(axe)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    visit.open("list", f"{site}/shelves/")
    looks += visit.look(axe)
    visit.send("older", "text=Older")
    looks += visit.look(axe)
    visit.send("detail", "tbody a >> nth=0")
    looks += visit.look(axe)
    assert page.context.cookies() == []
    visit.open("404", f"{site}/shelves/0/", 404)
    looks += visit.look(axe)
    visit.open("log-in", f"{site}/shelves/add/")
    page.fill("#id_username", "ada@shop.test")
    page.fill("#id_password", "correct horse")
    visit.send("form", "[type=submit]")
    looks += visit.look(axe)
    page.fill("#id_title", " ")
    visit.send("form with an error", "main [type=submit]")
    assert page.locator("#id_title_error").is_visible()
    looks += visit.look(axe)
    page.fill("#id_title", "Atlas")
    visit.send("saved", "main [type=submit]")
    assert page.locator("[role=status]").text_content() == "Saved."
    looks += visit.look(axe)
    visit.send("change", "text=Change")
    visit.send("logged out", "header [type=submit]")
    assert not page.locator("header [type=submit]").count()
    return looks
