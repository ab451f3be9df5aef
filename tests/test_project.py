"""Each pair of answers: lint, types, tests, checks, migrations and production mode."""

import gzip
import json
import re
import shutil
from pathlib import Path

import brotli
import pytest

from tests.bakery import (
    CHOICES,
    PAIRWISE,
    describe,
    production_environment,
    run,
)
from tests.services import free_port
from tests.serving import develop, serve
from tests.test_ci import check_environment

# One test worker bakes a project, makes its environment and runs all tests of it.
PROJECTS = [
    pytest.param(row, id=describe(row), marks=pytest.mark.xdist_group(describe(row)))
    for row in PAIRWISE
]
every_project = pytest.mark.parametrize(
    "project", PROJECTS, indirect=True, scope="module"
)
SAVE_TWICE = """
from urllib.error import HTTPError
from urllib.request import urlopen
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage as storage
first = storage.save("note.txt", ContentFile(b"one"))
second = storage.save("note.txt", ContentFile(b"two"))
assert first != second
url = storage.url(first)
"""
READ = """
print(storage.open(first).read())
print("sig" in url.lower() or url)
"""
READ_FROM_S3 = """
print(urlopen(url).read())
try:
    urlopen(url.partition("?")[0])
except HTTPError as error:
    print(error.code)
"""
BREAK_URLS = """
import runpy, sys
sys.modules["config.urls"] = None
runpy.run_module("config.serve", run_name="__main__")
"""


def test_accounts_meet_every_interface_log_in_and_database():
    rows = [row for row in PAIRWISE if row["accounts"] == "allauth"]
    for question in ("interface", "login", "database"):
        assert {row[question] for row in rows} == set(CHOICES[question])


def test_every_interface_meets_every_database():
    assert len({(row["interface"], row["database"]) for row in PAIRWISE}) == 6


@every_project
def test_formats_and_lints_without_a_difference(project, type_cache):
    run("git", "add", "--all", cwd=project.path)
    project.execute("just", "format")
    project.execute("just", "lint", env={"MYPY_CACHE_DIR": str(type_cache)})
    run("git", "diff", "--exit-code", cwd=project.path)


@every_project
def test_own_tests_pass_on_the_database_of_production(project, services):
    url = production_environment(project.answers, services).get("DATABASE_URL")
    run_own_tests(project, {"DATABASE_URL": url} if url else {})


@pytest.mark.long
@every_project
def test_own_tests_pass_on_sqlite_too(project):
    run_own_tests(project, {})


@every_project
def test_development_needs_no_other_server(project):
    with develop(project, Host="shop.localhost") as server:
        home = server.get("/")
        assert home.status == 200
        assert "Next steps" in home.text
        for path in ("/static/css/site.css", log_in_page(project), "/health/ready/"):
            assert server.get(path).status == 200, path
        # Browsers share cookies between the ports of a host.
        another = {"Cookie": "sessionid=anotherprojectssession"}
        for path, status in {"/": 200, "/robots.txt": 200, "/nowhere/": 404}.items():
            assert server.get(path, **another).status == status, path
        # The error pages and the policy are those of production.
        page = server.get("/_errors/404/")
        assert page.status == 404
        assert "unsafe-inline" not in page.headers["Content-Security-Policy"]


@every_project
def test_check_deploy_has_nothing_to_say(project, env):
    env = env | {"PYTHONWARNINGS": "error::DeprecationWarning"}
    command = ("check", "--deploy", "--fail-level", "WARNING")
    result = project.manage(*command, env=env)
    assert "System check identified no issues (" in result.stdout


@every_project
def test_models_and_migrations_agree(project, env):
    project.manage("migrate", env=env)
    result = project.manage("makemigrations", "--check", "--dry-run", env=env)
    assert "No changes detected" in result.stdout


@every_project
def test_env_example_names_every_variable_that_is_read(project):
    sources = [
        path.read_text()
        for folder in ("config", "core", "apps")
        for path in project.path.glob(f"{folder}/**/*.py")
    ]
    patterns = (r'env\.\w+\(\s*"([A-Z0-9_]+)"', r'os\.environ\.get\("([A-Z0-9_]+)"')
    read = {
        name
        for source in sources
        for pattern in patterns
        for name in re.findall(pattern, source)
    }
    example = (project.path / ".env.example").read_text()
    listed = set(re.findall(r"^(?:# )?([A-Z0-9_]+)(?:=|:)", example, re.MULTILINE))
    assert read - listed == set()
    # OpenTelemetry's SDK reads its own variables.
    unread = {name for name in listed - read if not name.startswith("OTEL_")}
    assert unread - {"POSTGRES_PASSWORD", "MYSQL_PASSWORD"} == set()


@every_project
def test_ci_environment_has_all_that_production_requires(project):
    check_environment(project)


@every_project
def test_uploads_are_kept_private_and_never_overwritten(project, env):
    store = project.answers["media_storage"]
    script = SAVE_TWICE + (READ_FROM_S3 if store == "s3" else READ)
    if store == "none":
        command = ("shell", "--no-imports", "-c", script)
        refused = project.manage(*command, env=env, check=False)
        assert "NotImplementedError" in refused.stderr
        return
    output = project.manage("shell", "--no-imports", "-c", script, env=env).stdout
    protected = {
        "s3": "403",
        "gcs": "True",
        "azure": "True",
        "filesystem": "/media/note.txt",
    }
    assert output.splitlines() == ["b'one'", protected[store]]


@every_project
def test_all_problems_of_the_environment_are_reported_before_the_start(project, env):
    broken = env | {
        "DJANGO_SECRET_KEY": "change-me",
        "DJANGO_ALLOWED_HOSTS": "*",
        "PORT": "80a",
        "WEB_CONCURRENCY": "s3cret",
        "FORWARDED_ALLOW_IPS": "s3cret",
    }
    for command in (("python", "manage.py", "check"), ("python", "-m", "config.serve")):
        result = project.execute(*command, env=broken, check=False)
        assert result.returncode == 1
        report = result.stderr
        assert "DJANGO_SECRET_KEY still holds a placeholder" in report
        assert "DJANGO_ALLOWED_HOSTS must be host names" in report
        assert "Traceback" not in report
        assert "change-me" not in report
        assert "s3cret" not in report
        assert "PORT must be a whole number" in report
        assert "WEB_CONCURRENCY must be a whole number" in report
        assert "FORWARDED_ALLOW_IPS must be addresses" in report


@every_project
def test_serves_in_production_mode_and_logs_json(project, env, static_files, tmp_path):
    project.manage("migrate", env=env)
    with serve(project, env, tmp_path) as server:
        home = server.get("/")
        assert home.status == 200
        hsts = home.headers["Strict-Transport-Security"]
        assert "max-age=300; includeSubDomains; preload" in hsts
        assert re.fullmatch(r"[0-9a-f]{32}", home.headers["X-Request-ID"])

        http = {"X-Forwarded-Proto": "http"}
        ready = server.get("/health/ready/", Host="10.0.0.1", **http)
        assert ready.status == 200
        checks = {"database": "ok", "cache": "ok"}
        assert json.loads(ready.body) == {"status": "ok", "checks": checks}
        assert ready.headers["Cache-Control"] == "no-store"

        link = r'href="(/static/css/site\.[0-9a-f]{12}\.css)"'
        stylesheet = re.search(link, home.text)[1]
        decoders = {"br": brotli.decompress, "gzip": gzip.decompress}
        for encoding, decompress in decoders.items():
            static = server.get(stylesheet, **{"Accept-Encoding": encoding})
            assert static.status == 200
            assert "immutable" in static.headers["Cache-Control"]
            assert static.headers["Content-Encoding"] == encoding
            assert b"color-scheme" in decompress(static.body)

        login = server.get(log_in_page(project))
        policy = login.headers["Content-Security-Policy"]
        nonces = re.findall(r"script-src 'self' 'nonce-([^']+)'", policy)
        # The pages of accounts have no inline code.
        assert len(nonces) == (project.answers["accounts"] == "none")
        assert all(f'nonce="{nonce}"' in login.text for nonce in nonces)
        assert "unsafe" not in policy
        assert login.headers["Set-Cookie"].startswith("__Host-csrftoken=")

        # No header changes the path, and the list of static files is not public.
        forged = server.get("/admin/", SCRIPT_NAME="/evil", PATH_INFO="/evil")
        assert forged.headers["Location"].startswith("/admin/login/")
        assert server.get("/static/staticfiles.json").status == 404

        redirect = server.get("/?token=s3cret", **http)
        assert redirect.headers["Location"].startswith("https://shop.test/")
        headers = {"X-Request-ID": "from-the-proxy"}
        assert server.get("/nowhere?token=s3cret", **headers).status == 404
        assert server.get("/", Host="evil.test").status == 400
        assert server.get("/", **{"Content-Length": "5000000000"}).status == 413
        for path in (
            "/robots.txt",
            "/favicon.ico",
            "/.well-known/security.txt",
            "/health/live/",
        ):
            assert server.get(path).status == 200, path

    assert server.process.returncode == 0
    lines = [json.loads(line) for line in server.process.log.splitlines()]
    keys = {"timestamp", "level", "logger", "message"}
    assert all(keys <= line.keys() for line in lines)
    alarming = ("WARNING", "ERROR", "CRITICAL")
    troubles = [
        line for line in lines if line["level"] in alarming or "exc_info" in line
    ]
    assert [line["logger"] for line in troubles] == ["django.security.DisallowedHost"]
    assert "'evil.test'" in troubles[0]["message"]
    assert "exc_info" not in troubles[0]
    assert "s3cret" not in server.process.log
    accesses = [line for line in lines if line["logger"] == "access"]
    paths = [line["path"] for line in accesses]
    assert stylesheet not in paths
    assert not [path for path in paths if path.startswith("/health/")]
    (missing,) = [line for line in accesses if line["path"] == "/nowhere"]
    assert missing["status"] == 404
    assert missing["request_id"] == "from-the-proxy"
    assert missing["remote_addr"] == "127.0.0.1"
    assert missing.keys() >= {"method", "duration_ms", "user_agent"}
    messages = [line["message"] for line in lines]
    assert "Starting gunicorn" in messages[0]
    assert "Shutting down: Master" in messages[-1]


@every_project
def test_error_has_one_request_id_on_the_page_in_the_log_and_in_sentry(
    project, env, static_files, services, tmp_path
):
    url = "sqlite:////nowhere/db.sqlite3"
    if project.answers["database"] != "sqlite":
        url = re.sub(r":\d+/", f":{free_port()}/", env["DATABASE_URL"])
    broken = env | {"DATABASE_URL": url, "SENTRY_RELEASE": "1.2.3"}
    services.sentry.events.clear()
    with serve(project, broken, tmp_path) as server:
        page = server.get(
            "/admin/?token=s3cret",
            Cookie="__Host-sessionid=t0psecret",
            Referer="https://shop.test/?mail=joe@shop.test",
        )
        event = services.sentry.wait_for_event()
    assert page.status == 500
    request_id = page.headers["X-Request-ID"]
    assert f"<code>{request_id}</code>" in page.text
    nonce = re.search(r"'nonce-([^']+)'", page.headers["Content-Security-Policy"])[1]
    assert f'<style nonce="{nonce}">' in page.text

    lines = [json.loads(line) for line in server.process.log.splitlines()]
    (error,) = [line for line in lines if "exc_info" in line]
    assert error["request_id"] == request_id
    assert "OperationalError" in error["exc_info"]

    assert event["tags"]["request_id"] == request_id
    assert (event["release"], event["environment"]) == ("1.2.3", "production")
    exceptions = event["exception"]["values"]
    assert "OperationalError" in {exception["type"] for exception in exceptions}
    for text in (json.dumps(event), server.process.log):
        assert not re.search("s3cret|t0psecret|joe@", text)


@every_project
def test_start_that_fails_is_in_the_log(project, env, tmp_path):
    result = project.execute("python", "-c", BREAK_URLS, env=env, check=False)
    assert result.returncode == 1
    assert result.stderr == ""
    line = json.loads(result.stdout)
    assert (line["level"], line["message"]) == ("CRITICAL", "The server cannot start")
    assert "config.urls" in line["exc_info"]


def log_in_page(project) -> str:
    return (
        "/admin/login/" if project.answers["accounts"] == "none" else "/accounts/login/"
    )


def run_own_tests(project, env):
    output = project.execute("pytest", "--quiet", env=env).stdout
    summary = output.splitlines()[-1]
    assert re.fullmatch(r"[1-9]\d+ passed in [\d.]+s.*", summary)


@pytest.fixture(scope="module")
def env(project, services) -> dict[str, str]:
    return production_environment(project.answers, services)


@pytest.fixture(scope="module")
def static_files(project, env, collected) -> None:
    """Collect and compress once for all projects with the same static files."""
    kind = (project.answers["api"], project.answers["accounts"])
    if kind in collected:
        shutil.copytree(collected[kind] / "staticfiles", project.path / "staticfiles")
        shutil.copy(collected[kind] / "staticfiles.json", project.path)
    else:
        project.manage("collectstatic", "--noinput", env=env)
        collected[kind] = project.path


@pytest.fixture(scope="session")
def collected() -> dict[tuple[str, str], Path]:
    """The folder by `api` and `accounts`: no other answer adds static files."""
    return {}
