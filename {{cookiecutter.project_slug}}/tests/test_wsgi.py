"""The application as a WSGI server calls it."""

import contextlib
import io
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from django.core.handlers.wsgi import WSGIHandler
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidChunkSize
from gunicorn.workers.gthread import _DEFER, ThreadWorker
from pytest_django.fixtures import Settings

from apps.edge.wsgi import with_edge
from apps.security import slow_clients
from config.thread_worker import LONGEST_COPIED, Connection, Pieces, Response, Worker
from config.wsgi import application


@pytest.mark.django_db
def test_the_application_follows_the_specification() -> None:
    status, _, body = ask(application, "/robots.txt")
    assert status == "200 OK"
    assert body.startswith(b"User-agent: *")


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/"])
@pytest.mark.django_db
def test_a_probe_is_answered_before_django_is_asked(path: str) -> None:
    status, headers, body = ask(with_edge(never), path, HTTP_X_REQUEST_ID="a-probe")
    assert (status, headers["X-Request-ID"]) == ("200 OK", "a-probe")
    assert headers["Cache-Control"] == "no-store"
    assert b'"status": "ok"' in body


def test_a_collected_file_is_answered_before_django_is_asked(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_AUTOREFRESH = False
    (tmp_path / "site.css").write_text("p { color: red }")
    edge = with_edge(never)
    assert ask(edge, "/static/site.css")[2] == b"p { color: red }"
    status, _, body = ask(edge, "/static/site.css", HTTP_IF_MODIFIED_SINCE="Fri, 01 Jan 2100 00:00:00 GMT")
    assert (status, body) == ("304 Not Modified", b"")


@pytest.mark.django_db
def test_what_is_no_file_is_left_to_django() -> None:
    assert ask(with_edge(WSGIHandler()), "/static/missing.css")[0] == "404 Not Found"


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_what_is_no_get_is_left_to_django(method: str) -> None:
    with pytest.raises(AssertionError, match="Django was asked"):
        ask(with_edge(never), "/health/live/", REQUEST_METHOD=method)


def never(environ: Any, start_response: Any) -> Any:
    raise AssertionError("Django was asked")


def ask(application: Callable[..., Any], path: str, **headers: str) -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body of the answer to a GET request, given and taken as the specification wants it."""
    started: list[Any] = []
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "HTTP_HOST": "testserver",
        "REMOTE_ADDR": "127.0.0.1",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        **headers,
    }
    setup_testing_defaults(environ)

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.extend((status, dict(headers)))

    response = validator(application)(environ, start_response)
    body = b"".join(response)
    response.close()  # type: ignore[attr-defined]
    return started[0], started[1], body


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


def test_nobody_waits_for_a_client_that_does_not_read(worker: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    with Connection(ends[0]) as connection:
        connection.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                connection.send(bytes(LONGEST_COPIED))
        connection.settimeout(None)
        slow_clients.heads[connection] = monotonic() - slow_clients.TIMEOUT_S - 1
        main = threading.Thread(target=worker.notify, daemon=True)
        main.start()
        main.join(5)
        assert not main.is_alive()


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


def test_a_silent_connection_holds_no_thread(worker: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    silent = SimpleNamespace(initialized=False, sock=ends[0], wait_for_data=lambda seconds: False)
    assert worker.handle(silent) is _DEFER
    silent.sock.close()


def test_a_connection_blocks_until_it_is_given_a_time(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[0].setblocking(False)
    with Connection(ends[0]) as connection:
        connection.setblocking(False)
        assert os.get_blocking(connection.fileno())
        connection.settimeout(0.01)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_a_malformed_rest_of_a_body_ends_the_connection(worker: Any) -> None:
    def finish_body(deadline: float) -> bool:
        raise InvalidChunkSize(b"evil")

    chunked = SimpleNamespace(body=SimpleNamespace(reader=None))
    connection = SimpleNamespace(parser=SimpleNamespace(finish_body=finish_body, mesg=chunked))
    assert worker._keepalive_after(connection, True) is False


def respond(headers: list[tuple[str, str]], *body: Any) -> Pieces:
    """What goes out for a response to a GET request."""
    request = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: False)
    sent = Pieces()
    response = wsgi.Response(request, sent, SimpleNamespace())
    response.start_response("200 OK", headers)
    for piece in body:
        response.write(piece)
    response.close()
    return sent


def test_a_response_is_sent_in_one_piece() -> None:
    [sent] = respond([("Content-Length", "2")], b"ok")
    assert sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent.endswith(b"\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([], [b"one", b"", b"two"]),
        ([("Content-Length", "6")], [b"", b"one", b"two", b"three"]),
        ([("Content-Length", "0")], []),
        ([], [b"x" * (LONGEST_COPIED + 1)]),
    ],
)
def test_a_response_is_what_gunicorn_would_send(
    monkeypatch: pytest.MonkeyPatch, headers: list[tuple[str, str]], body: list[bytes]
) -> None:
    monkeypatch.setattr(util, "http_date", lambda: "today")
    ours = respond(headers, *body)
    monkeypatch.setattr(wsgi, "Response", Response.__base__)
    assert b"".join(ours) == b"".join(respond(headers, *body))


def test_a_body_of_text_is_an_error() -> None:
    with pytest.raises(TypeError):
        respond([("Content-Length", "2")], "ok")


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
