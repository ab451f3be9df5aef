"""PgBouncer: all pages of the admin, load, and every safety switch in transaction mode.

A pooler without `ignore_startup_parameters` refuses the settings of a session, one with
it drops them in silence. A switch that it cannot keep has to say so.
"""

import re
from urllib.parse import urljoin

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.browser import Browser
from tests.drill.conftest import ADMIN
from tests.drill.instances import Load
from tests.services import PgBouncer

BEHIND = {"DATABASE_PGBOUNCER": "true"}
READ_ONLY = {"DJANGO_READ_ONLY": "true"}
MAY_WRITE = "DJANGO_READ_ONLY: this connection may write; avoid poolers"
REQUESTS = 200
COUNT = "from apps.users.models import User; print(User.objects.count())"
SLEEP = "from django.db import connection; connection.cursor().execute('{}')"


def poolers(*kinds):
    return pytest.mark.parametrize("pooler", kinds, indirect=True)


def ignores(parameters: str, *marks):
    return pytest.param(parameters, id=parameters or "nothing", marks=marks)


LONG = pytest.mark.long


@pytest.fixture
def pooler(request, services, tmp_path):
    with PgBouncer(tmp_path / "pooler", services.postgresql, request.param) as pooler:
        yield pooler


@both_interfaces
@poolers(ignores(""), ignores("options", LONG))
def test_pages_and_load_pass_the_pooler(project, env, start, pooler, report):
    report(drill(project, env, start, pooler))


@both_interfaces
@poolers(ignores("", LONG), ignores("options"))
def test_switches_that_the_pooler_drops_are_refused(project, env, start, pooler):
    env = env | {"DATABASE_URL": pooler.url(env["DATABASE_URL"])} | BEHIND
    refuse(project, env, start)


@only_wsgi
def test_a_role_keeps_its_limit_behind_the_pooler(project, env, services, tmp_path):
    postgresql = services.postgresql
    url = postgresql.create_database()
    role, database = postgresql.role, url.rpartition("/")[2]
    limit = f"ALTER ROLE {role} IN DATABASE {database} SET statement_timeout = '1s'"
    postgresql.query(limit)
    with PgBouncer(tmp_path / "pooler", postgresql) as pooler:
        env = env | {"DATABASE_URL": pooler.url(url)} | BEHIND
        slept = shell(project, env, SLEEP.format("SELECT pg_sleep(20)"))
    assert slept.returncode == 1
    assert "canceling statement due to statement timeout" in slept.stderr


@only_wsgi
@poolers(ignores(""))
def test_cursors_of_the_server_are_noticed(project, env, start, pooler, break_promise):
    cursors = 'database["DISABLE_SERVER_SIDE_CURSORS"] = PGBOUNCER'
    broken = break_promise("config/settings/production.py", cursors, "pass")
    with pytest.raises(AssertionError, match="answered 500"):
        drill(broken, env, start, pooler)


@only_wsgi
@poolers(ignores("options"))
def test_a_switch_that_nobody_verifies_is_noticed(
    project, env, start, pooler, break_promise
):
    connect = "connection_created.connect(confirm_read_only)"
    broken = break_promise("core/apps.py", connect, "pass")
    env = env | {"DATABASE_URL": pooler.url(env["DATABASE_URL"])} | BEHIND
    with pytest.raises(AssertionError, match="a shell that may write went on"):
        refuse(broken, env, start)


def drill(project, env: dict[str, str], start, pooler) -> str:
    """Open each page of the admin while clients ask for rows."""
    direct = env["DATABASE_URL"]
    instance = start(project, env | {"DATABASE_URL": pooler.url(direct)} | BEHIND)
    browser = Browser(instance)
    with (
        Load(instance.port, "/drill/row/", clients=16, pause=0.1) as one,
        Load(instance.port, "/drill/row-async/", clients=16, pause=0.1) as other,
    ):
        assert browser.log_in(*ADMIN) == 302
        pages = crawl(browser)
        one.wait_for(REQUESTS)
        other.wait_for(REQUESTS)
        peak = pooler.server.count_connections(direct)
    failures = one.failures + other.failures
    assert not failures, f"{len(failures)} requests failed: {failures[0]}"
    assert len(pages) > 15
    assert peak <= pooler.size
    requests = one.requests + other.requests
    kind = "ignores options" if pooler.ignores else "strict"
    return f"{kind}: {len(pages)} pages and {requests} requests, {peak} connections"


def crawl(browser: Browser) -> set[str]:
    """Open every page that the admin links to; return their paths."""
    seen: set[str] = set()
    found = {"/admin/"}
    while new := found - seen:
        path = new.pop()
        seen.add(path)
        page = browser.get(path)
        assert page.status < 500, f"{path} answered {page.status}"
        links = re.findall(r'href="([^"#?]+)', page.text)
        links = {urljoin(path, link) for link in links}
        found |= {link for link in links if link.startswith("/admin/")}
        found -= {"/admin/logout/"}
    return seen


def refuse(project, env: dict[str, str], start) -> None:
    """See that each switch that the pooler would drop ends with one sentence."""
    read_only = shell(project, env | READ_ONLY, COUNT)
    assert read_only.returncode == 1, "a shell that may write went on"
    assert read_only.stderr.strip() == MAY_WRITE
    with pytest.raises(RuntimeError, match="server ended with 1") as end:
        start(project, env | READ_ONLY)
    assert MAY_WRITE in str(end.value)

    with_limit = env | {"DATABASE_STATEMENT_TIMEOUT": "5"}
    limit = shell(project, with_limit, COUNT)
    assert limit.returncode == 1
    names = re.findall(r"^  - (.*)", limit.stderr, re.MULTILINE)
    cure = "use ALTER ROLE … SET statement_timeout"
    assert names == [
        f"DATABASE_STATEMENT_TIMEOUT cannot pass PgBouncer: unset it, and {cure}"
    ]

    migrate = project.manage("migrate", env=env, check=False)
    assert migrate.returncode == 1
    assert migrate.stderr.startswith("PgBouncer strands the lock")
    assert migrate.stderr.count("\n") == 1
    project.manage("migrate", "--check", env=env)


def shell(project, env: dict[str, str], script: str):
    return project.manage("shell", "--no-imports", "-c", script, env=env, check=False)
