"""manage.py doctor: it names what is wrong, and is silent on a sound server."""

import json
import os
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest

from tests.bakery import production_environment
from tests.services import free_port
from tests.services.certificate import Certificate
from tests.services.process import HOST

pytestmark = pytest.mark.xdist_group("doctor")
AWAY = f"{HOST}:{{}}"


@pytest.fixture(scope="module")
def project(bake):
    answers = {"metrics": "prometheus", "task_queue": "celery"}
    project = bake(database="postgresql", media_storage="filesystem", **answers)
    project.sync()
    return project


@contextmanager
def site(folder, project, days=60, location=None):
    """Answer at the name 127.0.0.1 over HTTPS; yield the variables that trust it."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(301 if location else 200)
            self.send_header("Content-Length", "0")
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    certificate = Certificate(folder / "site", days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    with ThreadingHTTPServer((HOST, 0), Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = f"HTTPS = {server.server_port}"
        project.replace("core/doctor.py", "HTTPS = 443", port)
        yield {"DJANGO_ALLOWED_HOSTS": HOST, "SSL_CERT_FILE": str(certificate.file)}
        project.replace("core/doctor.py", port, "HTTPS = 443")
        server.shutdown()


@pytest.fixture(scope="module")
def env(project, services, tmp_path_factory):
    env = production_environment(project.answers, services)
    marks = tmp_path_factory.mktemp("marks")
    for name in ("backup", "restore-drill"):
        (marks / name).touch()
    mail = f"smtp://{HOST}:{services.smtp.port}"
    env |= {"BACKUP_MARKS": str(marks), "EMAIL_URL": mail}
    env |= {"WEB_CONCURRENCY": "2", "DJANGO_LOG_LEVEL": "ERROR"}
    project.manage("migrate", env=env)
    return env


def examine(project, env):
    """Return the faults by probe, after a look at the status and for values."""
    result = project.manage("doctor", "--json", env=env, check=False)
    rows = json.loads(result.stdout)
    faults = {}
    for row in rows:
        assert row["level"] in ("info", "warning", "error")
        if row["level"] != "info":
            assert row["cure"], row
            faults.setdefault(row["probe"], []).append(row["fault"])
    assert result.returncode == bool(faults), result.stderr
    assert "s3cret" not in result.stdout + result.stderr
    return faults


def test_nothing_is_wrong_with_a_sound_server(project, env, tmp_path):
    with site(tmp_path, project) as trust:
        assert examine(project, env | trust) == {}
        table = project.manage("doctor", env=env | trust).stdout
    assert "info     database       is well" in table


def test_nothing_is_wrong_with_the_machine_of_a_developer(project):
    project.manage("migrate")
    assert examine(project, {}) == {}
    (project.path / "db.sqlite3").unlink()
    assert examine(project, {}) == {"database": ["Migrations wait"]}


def make_ascii_database(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS ascii")
        make = "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0"
        connection.execute(f"{make} LOCALE_PROVIDER libc LOCALE 'C'")
    return f"{url.rpartition('/')[0]}/ascii"


@contextmanager
def clock_that_is_wrong(url: str):
    """Let the server's clock be an hour behind, for this database."""
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz"
            " LANGUAGE sql AS $$ SELECT now() - interval '1 hour' $$"
        )
        path = f'ALTER DATABASE "{name}"'
        connection.execute(f"{path} SET search_path = public, pg_catalog")
        yield
        connection.execute(f"{path} RESET search_path")
        connection.execute("DROP FUNCTION public.clock_timestamp()")


def test_each_fault_is_named(project, env, tmp_path):
    url, away = env["DATABASE_URL"], AWAY.format(free_port())
    folder = project.path / "data"
    with site(tmp_path, project) as trust:
        env = env | trust

        def faults(**changes: str):
            return examine(project, env | changes)

        assert faults(DJANGO_ALOWED_HOSTS="s3cret") == {
            "environment": ["DJANGO_ALOWED_HOSTS is read by nothing"]
        }
        weak = faults(FORWARDED_ALLOW_IPS="0.0.0.0/0")
        assert [*weak] == ["environment"]
        down = faults(DATABASE_URL=f"postgresql://shop:s3cret@{away}/shop")
        assert {"clock", "connections", "database", "encoding"} == {*down}
        assert faults(CACHE_URL=f"redis://:s3cret@{away}/0") == {
            "cache": ["ConnectionError"]
        }
        assert [*faults(CELERY_BROKER_URL=f"redis://:s3cret@{away}/1")] == ["broker"]
        assert [*faults(EMAIL_URL=f"smtp://shop:s3cret@{away}")] == ["mail"]
        assert faults(INSTANCES="40") == {
            "connections": ["max_connections is 100, and a release may take 800"]
        }
        ascii_url = make_ascii_database(url)
        project.manage("migrate", env=env | {"DATABASE_URL": ascii_url})
        assert [*faults(DATABASE_URL=ascii_url)] == ["encoding"]
        with clock_that_is_wrong(url):
            (fault,) = faults()["clock"]
        assert "3600 s away" in fault
        marks = tmp_path / "marks"
        marks.mkdir()
        assert faults(BACKUP_MARKS=str(marks)) == {"backup": ["FileNotFoundError"]}
        for name, age in {"backup": 27, "restore-drill": 200}.items():
            (marks / name).touch()
            old = (marks / name).stat().st_mtime - age * 3600
            os.utime(marks / name, (old, old))
        assert faults(BACKUP_MARKS=str(marks)) == {
            "backup": [
                "No backup was good for 26 hours",
                "No restore-drill was good for 192 hours",
            ]
        }
        assert "shared_memory" in faults(WEB_CONCURRENCY="1000000")
        kept = folder.with_name("kept")
        folder.rename(kept)
        folder.write_bytes(b"not a folder")
        assert "store" in faults()
        folder.unlink()
        kept.rename(folder)
        assert faults(DJANGO_ALLOWED_HOSTS="nowhere.invalid") == {
            "site": ["nowhere.invalid is not in the DNS"]
        }
        assert faults(SSL_CERT_FILE=os.devnull)["site"] == [
            f"{HOST}: self-signed certificate"
        ]
        project.replace("core/doctor.py", "max(1024**3", "max(1024**6")
        assert [*faults()] == ["disk"]
        project.replace("core/doctor.py", "max(1024**6", "max(1024**3")
    assert examine(project, env)["site"] == [f"{HOST} does not answer"]


def test_faults_of_the_proxy_are_named(project, env, tmp_path):
    with site(tmp_path, project, days=3) as trust:
        (fault,) = examine(project, env | trust)["site"]
    assert fault.startswith(f"The certificate of {HOST} ends in ")
    with site(tmp_path, project, location=f"https://{HOST}/") as trust:
        (fault,) = examine(project, env | trust)["site"]
    assert "the proxy's headers are not believed" in fault
