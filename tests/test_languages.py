"""A second language: the switch, the texts that are found, and pages in German."""

import re
import shutil
from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest

from tests.bakery import Project, production_environment, run
from tests.browsing import Visit
from tests.services import Caddy
from tests.serving import Server, serve

LOCAL = {
    "database": "sqlite",
    "cache": "database",
    "media_storage": "filesystem",
    "login": "email",
}
ROWS = {
    "asgi": LOCAL | {"interface": "asgi", "task_queue": "database", "api": "drf"},
    "wsgi": LOCAL,
}


def projects(*names: str):
    params = []
    for name in names:
        marks = [pytest.mark.xdist_group(f"language {name}")]
        marks += [pytest.mark.long] if name == "wsgi" else []
        params.append(pytest.param(name, marks=marks))
    return pytest.mark.parametrize("project", params, indirect=True, scope="module")


every_interface = projects(*ROWS)
asgi = projects("asgi")

CATALOG = "locale/de/LC_MESSAGES/django.po"
ENGLISH = '[("en", "English")]'
BOTH = '[("en", "English"), ("de", "Deutsch")]'
# Each text of the project begins with this in the language that the tests write.
MARK = "«"
GERMAN = {
    "Saved.": "Gespeichert.",
    "Page not found": "Seite nicht gefunden",
    "The service is running.": "Der Dienst läuft.",
    "Something went wrong": "Etwas ist schiefgegangen",
}
NONSENSE = ("tlh", "de;q=x", "*", "../../etc", "de-" + "x" * 600, ",;,", "%00", "zz-ZZ")
FILL = """
from apps.users.models import User
User.objects.create_superuser("ada@shop.test", "correct horse", first_name="Ada")
"""
SPEAK = """
from django.test import RequestFactory
from django.utils import translation
from apps.pages.views import server_error
from apps.users.mails import compose_welcome_mail
from apps.users.models import User
translation.activate("de")
mail = compose_welcome_mail(User.objects.get())
print(mail.subject, mail.body, sep="\\n")
print(server_error(RequestFactory().get("/")).text)
"""


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    """Bake a project with one language and an app, and commit it."""
    project = Project.bake(tmp_path_factory.mktemp("one"), **ROWS[request.param])
    project.sync()
    project.execute("just", "app", "shelves", "Shelf")
    project.commit()
    return project


@pytest.fixture(scope="module")
def german(project, tmp_path_factory) -> Project:
    """Return a copy with a second language, whose texts all have a translation."""
    copy = project.copy(tmp_path_factory.mktemp("two"))
    copy.replace(
        "config/settings/base.py", f"LANGUAGES = {ENGLISH}", f"LANGUAGES = {BOTH}"
    )
    copy.execute("just", "messages", "de")
    translate(copy)
    copy.execute("just", "messages")
    copy.commit()
    return copy


@pytest.fixture(scope="module")
def env(german, services) -> dict[str, str]:
    env = production_environment(german.answers, services)
    german.manage("migrate", env=env)
    german.manage("collectstatic", "--noinput", env=env)
    german.manage("shell", "--no-imports", "--command", FILL, env=env)
    return env


@pytest.fixture(scope="module")
def server(german, env, tmp_path_factory) -> Iterator[Server]:
    with serve(german, env, tmp_path_factory.mktemp("server")) as server:
        yield server


@every_interface
def test_with_one_language_nothing_is_chosen(project, services, tmp_path):
    copy = project.copy(tmp_path)
    env = production_environment(copy.answers, services)
    copy.manage("migrate", env=env)
    copy.manage("collectstatic", "--noinput", env=env)
    with serve(copy, env, tmp_path) as server:
        for path in ("/", "/nothing/"):
            answer = server.get(path, **{"Accept-Language": "de"})
            assert 'lang="en"' in answer.text
            assert "i18n" not in answer.text
            assert "Content-Language" not in answer.headers
            assert "Accept-Language" not in answer.headers.get("Vary", "")
            assert "Set-Cookie" not in answer.headers
        assert server.get("/i18n/setlang/").status == 404


@every_interface
def test_messages_finds_the_texts_of_the_project_and_stays_as_it_is(project, tmp_path):
    copy = project.copy(tmp_path)
    foreign = [copy.path / name for name in (".tools", "node_modules")]
    for folder in foreign:
        catalog = folder / "locale" / "de" / "LC_MESSAGES" / "django.po"
        catalog.parent.mkdir(parents=True)
        catalog.write_text('msgid "Foreign"\nmsgstr "Fremd"\n')
        (folder / "one.html").write_text('{% load i18n %}{% translate "Foreign" %}')
    copy.manage("collectstatic", "--noinput")
    copy.execute("just", "messages", "de", "pt_BR")
    for folder in foreign:
        assert not list(folder.rglob("*.mo"))
        shutil.rmtree(folder)
    new = ["?? .venv", "?? locale/de/", "?? locale/pt_BR/"]
    assert copy.status().splitlines() == new
    text = (copy.path / CATALOG).read_text()
    sources = set(re.findall(r"^#: (.+)$", text, re.MULTILINE))
    folders = {path.split("/")[0] for line in sources for path in line.split()}
    assert folders == {"apps", "templates"}
    assert "apps/shelves/templates/shelves/list.html" in " ".join(sources)
    assert {"Saved.", "Page not found", "Shelves"} <= find_texts(text)
    assert not {"Gadgets", "Foreign"} & find_texts(text)
    # On another day, and with the texts on other lines, nothing has changed.
    new_date = re.sub(r"(POT-Creation-Date: )[\d-]+", r"\g<1>2026-01-02", text)
    (copy.path / CATALOG).write_text(new_date)
    copy.execute("just", "messages")
    copy.commit()
    copy.replace("templates/home.html", "{% block title", "\n{% block title")
    copy.commit()
    kept = run("git", "ls-files", "locale", cwd=copy.path).stdout
    assert "locale/de/LC_MESSAGES/django.mo" in kept
    assert "2026-01-02" in (copy.path / CATALOG).read_text()
    copy.execute("just", "messages", "de")
    assert copy.status() == ""
    # A new text is the only difference.
    copy.replace("templates/home.html", '"The service is running."', '"It runs."')
    copy.execute("just", "messages")
    assert find_texts((copy.path / CATALOG).read_text()) - find_texts(text) == {
        "It runs."
    }


@asgi
def test_without_gettext_one_sentence_says_how_to_install_it(project, tmp_path):
    copy = project.copy(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    just = copy.path / ".venv" / "bin" / "just"
    env = {"PATH": str(tools)}
    refused = run(just, "messages", "de", cwd=copy.path, env=env, check=False)
    assert refused.returncode == 1
    message = refused.stderr.splitlines()[0]
    assert message.startswith("GNU gettext is missing: ")
    assert "apt install gettext" in message
    assert "brew install gettext" in message
    assert copy.status().split() == ["??", ".venv"]


@pytest.mark.long
@asgi
def test_a_project_in_german_passes_all_checks(german, tmp_path, type_cache):
    copy = german.copy(tmp_path)
    copy.replace(
        "config/settings/base.py", 'LANGUAGE_CODE = "en"', 'LANGUAGE_CODE = "de"'
    )
    env = {"MYPY_CACHE_DIR": str(type_cache)}
    output = copy.execute("just", "check", env=env).stdout
    assert re.search(r"^=+ \d+ passed in [\d.]+s", output, re.MULTILINE)


@every_interface
def test_the_header_chooses_and_the_cookie_wins(server):
    english, german = server.get("/"), server.get("/", **{"Accept-Language": "de"})
    chosen = {"Accept-Language": "en", "Cookie": "__Host-language=de"}
    for answer, code, text in (
        (english, "en", "The service is running."),
        (german, "de", "Der Dienst läuft."),
        (server.get("/", **chosen), "de", "Der Dienst läuft."),
    ):
        assert f'<html lang="{code}"' in answer.text
        assert text in answer.text
        assert answer.headers["Content-Language"] == code
        # The page differs by the cookie too: no cache may mix them up.
        vary = set(re.split(r",\s*", answer.headers["Vary"]))
        assert {"Accept-Language", "Cookie"} <= vary


@every_interface
def test_errors_have_the_language_of_the_reader(server):
    page = server.get("/nothing/", **{"Accept-Language": "de-AT, en;q=0.5"})
    assert (page.status, page.headers["Content-Language"]) == (404, "de")
    assert "Seite nicht gefunden" in page.text
    assert {"Accept-Language", "Cookie"} <= set(page.headers["Vary"].split(", "))
    for value in NONSENSE:
        headers = {"Accept-Language": value, "Cookie": f"__Host-language={value}"}
        page = server.get("/nothing/", **headers)
        assert page.status == 404, value
        assert "<html lang=" in page.text
    refused = server.get("/", **{"Host": "evil.test", "Accept-Language": "de"})
    assert (refused.status, "<html lang=" in refused.text) == (400, True)


@every_interface
def test_a_switch_goes_to_no_other_site(server):
    page = server.get("/")
    cookie = SimpleCookie(page.headers["Set-Cookie"])["__Host-csrftoken"]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
    headers = {
        "Cookie": f"__Host-csrftoken={cookie.value}",
        "Origin": "https://shop.test",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    form = {"csrfmiddlewaretoken": token, "language": "de"}
    for target in ("https://elsewhere.test/", "//elsewhere.test/", "javascript:1"):
        answer = server.post("/i18n/setlang/", form | {"next": target}, **headers)
        assert (answer.status, answer.headers["Location"]) == (302, "/")
    answer = server.post("/i18n/setlang/", form | {"next": "/shelves/"}, **headers)
    assert (answer.status, answer.headers["Location"]) == (302, "/shelves/")
    [line] = answer.headers.get_all("Set-Cookie")
    parts = line.split("; ")
    assert parts[0] == "__Host-language=de"
    assert {"HttpOnly", "Path=/", "SameSite=Lax", "Secure"} == set(parts[1:])
    unknown = server.post("/i18n/setlang/", form | {"language": "tlh"}, **headers)
    assert "Set-Cookie" not in unknown.headers
    assert server.post("/i18n/setlang/", {"language": "de"}).status == 403


@asgi
def test_the_api_mails_and_the_page_for_500_speak_german_too(german, server, env):
    answer = server.get("/api/v1/users/me/", **{"Accept-Language": "de"})
    assert (answer.status, answer.headers["Content-Language"]) == (401, "de")
    assert "Anmeldedaten" in answer.text
    command = ("shell", "--no-imports", "--command", SPEAK)
    output = german.manage(*command, env=env).stdout
    start = f"{MARK}Welcome to My Project\n{MARK}Hello Ada,\n\nyour account"
    assert output.startswith(start)
    assert '<html lang="de"' in output
    assert "<h1>Etwas ist schiefgegangen</h1>" in output


@every_interface
def test_people_choose_on_any_page(
    german, server, page, axe, tmp_path, record_property
):
    port = urlsplit(server.url).port
    visit = Visit(page)
    with Caddy(tmp_path / "caddy", german.path, port) as caddy:
        count = choose(visit, caddy.url, axe)
    assert not visit.complaints, "\n".join(visit.complaints)
    figure = f"{count} looks at {len(visit.seen)} pages in two languages: 0 barriers"
    record_property("figure", f"{german.answers['interface']}: {figure}")


def choose(visit: Visit, site: str, axe: str) -> int:
    """Use the pages in English and in German; return how often axe looked."""
    page = visit.page
    switch, language = "footer button[lang=de]", page.locator("html")
    visit.open("list", f"{site}/shelves/?after=none")
    looks = visit.look(axe)
    assert page.locator("footer [aria-current]").inner_text() == "English"
    page.focus(switch)
    with page.expect_navigation(wait_until="networkidle"):
        page.keyboard.press("Enter")
    assert page.url == f"{site}/shelves/?after=none"
    assert language.get_attribute("lang") == "de"
    assert page.locator("footer [aria-current]").inner_text() == "Deutsch"
    looks += visit.look(axe)
    visit.open("home", site)
    assert page.locator(".status").inner_text() == "Der Dienst läuft."
    looks += visit.look(axe)
    visit.open("404", f"{site}/nothing/", 404)
    assert page.locator("h1").inner_text() == "Seite nicht gefunden"
    looks += visit.look(axe)
    visit.open("log-in", f"{site}/shelves/add/")
    assert page.locator("[type=submit]").get_attribute("value") == "Anmelden"
    page.fill("#id_username", "ada@shop.test")
    page.fill("#id_password", "correct horse")
    visit.send("form", "[type=submit]")
    assert page.locator("label[for=id_title]").inner_text() == f"{MARK}title:"
    page.fill("#id_title", "Atlas")
    visit.send("saved", "main [type=submit]")
    assert page.locator("[role=status]").inner_text() == "Gespeichert."
    visit.open("admin", f"{site}/admin/")
    assert language.get_attribute("lang") == "de"
    assert "Passwort ändern" in page.text_content("#user-tools")
    visit.open("home", site)
    visit.send("English again", "footer button[lang=en]")
    assert page.locator(".status").inner_text() == "The service is running."
    return looks


def find_texts(catalog: str) -> set[str]:
    """Return the texts of one line that a catalog has in use."""
    return set(re.findall(r'^msgid "(.+)"$', catalog, re.MULTILINE))


def translate(project: Project) -> None:
    """Write a translation for each text, with tools of gettext, and then real ones."""
    path = project.path / CATALOG
    english = run("msgen", path, cwd=project.path).stdout
    filtered = ("msgfilter", "--keep-header", "sed", f"1s/^/{MARK}/")
    text = run(*filtered, cwd=project.path, input=english).stdout
    for old, new in GERMAN.items():
        assert f'msgstr "{MARK}{old}"' in text
        text = text.replace(f'msgstr "{MARK}{old}"', f'msgstr "{new}"')
    path.write_text(text)
