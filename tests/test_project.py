"""Each pair of answers as its owners meet it: linted, typed, tested, checked, migrated, and served in production mode."""

import gzip
import json
import re
import shutil
from pathlib import Path

import brotli
import pytest

from tests.bakery import (
    PAIRWISE,
    clean_environment,
    describe,
    production_environment,
    run,
)
from tests.services import Process, free_port
from tests.serving import Server, serve
from tests.test_ci import check_environment

# One worker of the test run bakes a project, makes its environment and keeps both for all of its tests.
PROJECTS = [
    pytest.param(row, id=describe(row), marks=pytest.mark.xdist_group(describe(row)))
    for row in PAIRWISE
]
every_project = pytest.mark.parametrize(
    "project", PROJECTS, indirect=True, scope="module"
)


def test_every_interface_meets_every_database():
    assert len({(row["interface"], row["database"]) for row in PAIRWISE}) == 6


@every_project
def test_formats_and_lints_without_a_difference(project, type_cache):
    run("git", "add", "--all", cwd=project.path)
    project.execute("just", "format")
    project.execute("just", "lint", env={"MYPY_CACHE_DIR": str(type_cache)})
    run("git", "diff", "--exit-code", cwd=project.path)


@every_project
def test_own_tests_pass_on_sqlite_and_on_the_real_database(project, services):
    url = production_environment(project.answers, services).get("DATABASE_URL")
    for database in [{}, {"DATABASE_URL": url}] if url else [{}]:
        summary = project.execute(
            "pytest", "--quiet", env=database
        ).stdout.splitlines()[-1]
        assert re.fullmatch(r"[1-9]\d+ passed in [\d.]+s.*", summary)


@every_project
def test_developer_has_a_page_without_any_server(project, tmp_path):
    project.manage("migrate")
    port = free_port()
    command = [
        project.path / ".venv" / "bin" / "python",
        "manage.py",
        "runserver",
        "--noreload",
        f"127.0.0.1:{port}",
    ]
    with Process(
        command, project.path, name="runserver", env=clean_environment()
    ) as process:
        server = Server(process, port, Host="localhost")
        process.wait_for(server.is_live, 20, "the development server to answer")
        home = server.get("/")
        assert home.status == 200
        assert "Next steps" in home.text
        for path in ("/static/css/site.css", "/admin/login/", "/health/ready/"):
            assert server.get(path).status == 200, path


@every_project
def test_check_deploy_has_nothing_to_say(project, env):
    result = project.manage(
        "check",
        "--deploy",
        "--fail-level",
        "WARNING",
        env=env | {"PYTHONWARNINGS": "error::DeprecationWarning"},
    )
    assert "System check identified no issues (0 silenced)." in result.stdout


@every_project
def test_models_and_migrations_agree(project, env):
    project.manage("migrate", env=env)
    assert (
        "No changes detected"
        in project.manage("makemigrations", "--check", "--dry-run", env=env).stdout
    )


@every_project
def test_env_example_names_every_variable_that_is_read(project):
    sources = [
        path.read_text()
        for folder in ("config", "core", "apps")
        for path in project.path.glob(f"{folder}/**/*.py")
    ]
    read = {
        name
        for source in sources
        for name in re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', source)
    }
    read |= {
        name
        for source in sources
        for name in re.findall(r'os\.environ\.get\("([A-Z0-9_]+)"', source)
    }
    listed = set(
        re.findall(
            r"^(?:# )?([A-Z0-9_]+)(?:=|:)",
            (project.path / ".env.example").read_text(),
            re.MULTILINE,
        )
    )
    assert read - listed == set()
    # OpenTelemetry's SDK reads its own variables.
    unread = {name for name in listed - read if not name.startswith("OTEL_")}
    assert unread - {"POSTGRES_PASSWORD", "MYSQL_PASSWORD"} == set()


@every_project
def test_ci_environment_has_all_that_production_requires(project):
    check_environment(project)


@every_project
def test_uploads_are_kept_private_and_never_overwritten(project, env):
    if project.answers["media_storage"] == "s3":
        fetch = "from urllib.request import urlopen; from urllib.error import HTTPError; signed = s.url(a); print(urlopen(signed).read())"
        denied = "\ntry: urlopen(signed.partition('?')[0])\nexcept HTTPError as error: print(error.code)"
    else:
        fetch, denied = (
            "print(s.open(a).read())",
            "\nprint('sig' in s.url(a).lower() or s.url(a))",
        )
    script = (
        "from django.core.files.base import ContentFile as F; from django.core.files.storage import default_storage as s;"
        "a, b = s.save('note.txt', F(b'one')), s.save('note.txt', F(b'two')); assert a != b;"
        + fetch
        + denied
    )
    output = project.manage(
        "shell", "--no-imports", "-c", script, env=env
    ).stdout.splitlines()
    protected = {
        "s3": "403",
        "gcs": "True",
        "azure": "True",
        "filesystem": "/media/note.txt",
    }
    assert output == ["b'one'", protected[project.answers["media_storage"]]]


@every_project
def test_environment_is_reported_whole_before_anything_starts(project, env):
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
        assert (
            "max-age=300; includeSubDomains; preload"
            in home.headers["Strict-Transport-Security"]
        )
        assert re.fullmatch(r"[0-9a-f]{32}", home.headers["X-Request-ID"])

        ready = server.get(
            "/health/ready/", Host="10.0.0.1", **{"X-Forwarded-Proto": "http"}
        )
        assert ready.status == 200
        assert json.loads(ready.body) == {
            "status": "ok",
            "checks": {"database": "ok", "cache": "ok"},
        }
        assert ready.headers["Cache-Control"] == "no-store"

        stylesheet = re.search(
            r'href="(/static/css/site\.[0-9a-f]{12}\.css)"', home.text
        )[1]
        for encoding, decompress in {
            "br": brotli.decompress,
            "gzip": gzip.decompress,
        }.items():
            static = server.get(stylesheet, **{"Accept-Encoding": encoding})
            assert static.status == 200
            assert "immutable" in static.headers["Cache-Control"]
            assert static.headers["Content-Encoding"] == encoding
            assert b"color-scheme" in decompress(static.body)

        login = server.get("/admin/login/")
        nonce = re.search(
            r"script-src 'self' 'nonce-([^']+)'",
            login.headers["Content-Security-Policy"],
        )[1]
        assert f'nonce="{nonce}"' in login.text
        assert "unsafe" not in login.headers["Content-Security-Policy"]
        assert login.headers["Set-Cookie"].startswith("__Host-csrftoken=")

        assert (
            server.get("/?token=s3cret", **{"X-Forwarded-Proto": "http"})
            .headers["Location"]
            .startswith("https://shop.test/")
        )
        assert (
            server.get(
                "/nowhere?token=s3cret", **{"X-Request-ID": "from-the-proxy"}
            ).status
            == 404
        )
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
    assert all(
        {"timestamp", "level", "logger", "message"} <= line.keys() for line in lines
    )
    troubles = [
        line
        for line in lines
        if line["level"] in ("WARNING", "ERROR", "CRITICAL") or "exc_info" in line
    ]
    assert [line["logger"] for line in troubles] == ["django.security.DisallowedHost"]
    assert "'evil.test'" in troubles[0]["message"]
    assert "exc_info" not in troubles[0]
    assert "s3cret" not in server.process.log
    accesses = [line for line in lines if line["logger"] == "access"]
    assert not [
        line
        for line in accesses
        if line["path"].startswith("/health/") or line["path"] == stylesheet
    ]
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
    broken = {"sqlite": "sqlite:////nowhere/db.sqlite3"}
    url = broken.get(project.answers["database"]) or re.sub(
        r":\d+/", f":{free_port()}/", env["DATABASE_URL"]
    )
    services.sentry.events.clear()
    with serve(
        project, env | {"DATABASE_URL": url, "SENTRY_RELEASE": "1.2.3"}, tmp_path
    ) as server:
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
    assert "OperationalError" in {
        exception["type"] for exception in event["exception"]["values"]
    }
    for text in (json.dumps(event), server.process.log):
        assert not re.search("s3cret|t0psecret|joe@", text)


@every_project
def test_start_that_fails_is_in_the_log(project, env, tmp_path):
    result = project.execute(
        "python",
        "-c",
        "import runpy, sys; sys.modules['config.urls'] = None; runpy.run_module('config.serve', run_name='__main__')",
        env=env,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == ""
    line = json.loads(result.stdout)
    assert (line["level"], line["message"]) == ("CRITICAL", "The server cannot start")
    assert "config.urls" in line["exc_info"]


@pytest.fixture(scope="session")
def type_cache(tmp_path_factory):
    """What mypy knows of the libraries, which is the same for all projects."""
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture(scope="module")
def env(project, services) -> dict[str, str]:
    return production_environment(project.answers, services)


@pytest.fixture(scope="module")
def static_files(project, env, collected) -> None:
    """Collected and compressed, once for all projects with the same static files."""
    api = project.answers["api"]
    if api in collected:
        shutil.copytree(collected[api], project.path / "staticfiles")
    else:
        project.manage("collectstatic", "--noinput", env=env)
        collected[api] = project.path / "staticfiles"


@pytest.fixture(scope="session")
def collected() -> dict[str, Path]:
    """The folder of a project for each answer to `api`: others bring no static files."""
    return {}
