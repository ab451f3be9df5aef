"""The application as a WSGI server calls it."""

import io
import logging
import socket
from collections.abc import Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from gunicorn.http.errors import InvalidChunkSize
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from apps.security import slow_clients
from config.thread_worker import Worker
from config.wsgi import application


@pytest.mark.django_db
def test_the_application_follows_the_specification() -> None:
    statuses = []
    environ: dict[str, Any] = {
        "PATH_INFO": "/robots.txt",
        "HTTP_HOST": "testserver",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
    }
    setup_testing_defaults(environ)

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        statuses.append(status)

    response = validator(application)(environ, start_response)
    body = b"".join(response)
    response.close()  # type: ignore[attr-defined]
    assert statuses == ["200 OK"]
    assert body.startswith(b"User-agent: *")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the server's and the client's."""
    server, client = socket.socketpair()
    client.settimeout(5)
    with server, client:
        yield server, client
    for waiting in (slow_clients.heads, slow_clients.bodies, slow_clients.ended):
        waiting.clear()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker of two threads, which Gunicorn has not started."""
    monkeypatch.setattr(ThreadWorker, "notify", lambda self: None)
    worker: Any = Worker.__new__(Worker)
    worker.cfg = SimpleNamespace(threads=2)
    worker.log = logging.getLogger("gunicorn.error")
    return worker


def test_a_head_that_does_not_end_is_answered_with_408(
    worker: Any, ends: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    server, client = ends
    slow_clients.heads[server] = monotonic() - slow_clients.TIMEOUT_S - 1
    worker.notify()
    assert client.recv(1000).startswith(b"HTTP/1.1 408 Request Timeout")
    assert server.recv(1) == b""
    assert caplog.messages == ["A request did not arrive in time"]


def test_a_body_that_does_not_arrive_is_never_taken_for_whole(
    worker: Any, ends: tuple[socket.socket, socket.socket]
) -> None:
    server, client = ends
    client.sendall(b"half")
    body = slow_clients.TimedBody(server.makefile("rb"), server)
    assert body.read(4) == b"half"
    slow_clients.bodies[server] = monotonic() - slow_clients.TIMEOUT_S - 1
    worker.notify()
    with pytest.raises(slow_clients.SlowBodyError):
        body.readline(100)


def test_a_body_of_many_pieces_arrives_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    line = b"x" * slow_clients.PIECE_BYTES * 3 + b"\n"
    body = slow_clients.TimedBody(io.BytesIO(line * 3), ends[0])
    assert body.readline(len(line) * 3) == line
    assert body.readline(7) == line[:7]
    assert body.read(len(line) * 3) == line[7:] + line
    assert body.read(1) == body.readline(1) == b""


def test_clients_that_hold_all_threads_have_less_time(worker: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    slow_clients.bodies[server] = monotonic() - slow_clients.HURRY_S - 1
    worker.notify()
    assert server not in slow_clients.ended
    slow_clients.heads[client] = monotonic()
    worker.notify()
    assert server in slow_clients.ended
    assert client in slow_clients.heads


def test_a_silent_connection_holds_no_thread(worker: Any) -> None:
    silent = SimpleNamespace(initialized=False, wait_for_data=lambda seconds: False)
    assert worker.handle(silent) is _DEFER


def test_a_malformed_rest_of_a_body_ends_the_connection(worker: Any) -> None:
    def finish_body(deadline: float) -> bool:
        raise InvalidChunkSize(b"evil")

    assert worker._keepalive_after(SimpleNamespace(parser=SimpleNamespace(finish_body=finish_body)), True) is False


def test_a_thread_is_watched_while_it_reads_the_head(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[Any] = []
    monkeypatch.setattr(ThreadWorker, "handle", lambda self, conn: watched.extend(slow_clients.heads))
    connection = SimpleNamespace(initialized=True, sock=object())
    worker.handle(connection)
    assert watched == [connection.sock]
    assert not slow_clients.heads


@pytest.mark.django_db
def test_the_time_of_the_head_ends_where_the_application_begins(ends: tuple[socket.socket, socket.socket]) -> None:
    environ: dict[str, Any] = {"HTTP_HOST": "testserver", "gunicorn.socket": ends[0], "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    slow_clients.heads[ends[0]] = monotonic()
    application(environ, lambda status, headers, exc_info=None: None)
    assert not slow_clients.heads
    assert isinstance(environ["wsgi.input"], slow_clients.TimedBody)
