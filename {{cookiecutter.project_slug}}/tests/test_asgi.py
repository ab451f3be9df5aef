"""The application as an ASGI server calls it, and the static files that never leave the event loop."""

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIRequest
from django.test import AsyncClient, Client
from pytest_django.fixtures import Settings
from uvicorn import Config
from uvicorn.server import ServerState

from apps.edge import handler
from apps.edge.asgi import request_meta, with_edge
from apps.pages.static import CHUNK_BYTES
from apps.security import bodies
from apps.users.models import User
from config import uvicorn_worker
from config.asgi import application

LARGE = os.urandom(2 * CHUNK_BYTES + 1)


@pytest.fixture
def static_root(settings: Settings, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_AUTOREFRESH = False
    (tmp_path / "small.css").write_bytes(b"p { color: red }")
    (tmp_path / "large.bin").write_bytes(LARGE)
    return tmp_path


def test_the_server_is_told_that_the_application_starts_and_stops() -> None:
    started, stopped = converse({"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert (started, stopped) == ({"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"})


def test_the_application_answers_a_request() -> None:
    start, body = converse(request_for("/"), {"type": "http.request"})
    assert start["status"] == 200
    assert b"<h1>" in body["body"]


def test_a_body_that_is_declared_too_large_is_not_even_received() -> None:
    start, _ = converse(request_for("/", (b"content-length", b"5000000000")))
    assert start["status"] == 413


def test_a_body_that_becomes_too_large_is_cut_and_its_rest_thrown_away() -> None:
    piece = {"type": "http.request", "body": bytes(10 * 1024 * 1024), "more_body": True}
    start, _ = converse(request_for("/", (b"transfer-encoding", b"chunked")), piece, piece, piece, piece)
    assert start["status"] == 413


def test_a_body_that_does_not_arrive_in_time_is_answered_with_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "TIMEOUT_S", 0.05)
    piece = {"type": "http.request", "body": b"half", "more_body": True}
    start, _ = converse(request_for("/", (b"content-length", b"8")), piece)
    assert start["status"] == 408


def test_each_piece_of_a_body_has_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PIECE_BYTES", 4)
    piece = {"type": "http.request", "body": b"half", "more_body": True}
    start, _ = converse(request_for("/"), piece, piece, {"type": "http.request", "body": b""})
    assert start["status"] == 200


def test_a_content_type_that_django_cannot_read_is_not_known() -> None:
    start, _ = converse(request_for("/", (b"content-type", b"a/b; c*=evil''%ff")), {"type": "http.request"})
    assert start["status"] == 200


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        pytest.param([b"GET / HTTP/1.1\r\nX: ", *[b"a" * 40_000] * 2], b"431", id="a header without an end"),
        pytest.param([b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"], b"431", id="a huge header"),
        pytest.param([b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 101 + b"\r\n"], b"431", id="many headers"),
        pytest.param([b"evil\r\n\r\n"], b"400", id="not HTTP"),
        pytest.param([b"GET / HTTP/1.1\r\n"], b"408", id="a head that does not arrive in time"),
        pytest.param([b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"], b"200", id="an upgrade"),
    ],
)
def test_the_head_of_a_request_is_limited(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, pieces: list[bytes], status: bytes
) -> None:
    monkeypatch.setattr(uvicorn_worker, "HEAD_TIMEOUT_S", 0.05)
    assert talk(*pieces).startswith(b"HTTP/1.1 " + status)
    assert len(caplog.messages) == (status != b"200")


def test_a_connection_ends_with_the_answer_to_a_body_that_was_cut() -> None:
    length = (b"content-length", str(django_settings.REQUEST_MAX_BODY_SIZE + 1).encode())
    start, _ = converse(request_for("/health/live/", length))
    assert start["status"] == 200
    assert [value for name, value in start["headers"] if name.lower() == b"connection"] == [b"close"]


def test_a_body_within_the_limit_arrives_whole() -> None:
    body = b"username=a&password=b"
    start, _ = converse(
        request_for("/admin/login/", (b"content-length", str(len(body)).encode()), method="POST"),
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:]},
    )
    assert start["status"] == 403  # no CSRF token


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/"])
def test_a_probe_is_answered_before_django_is_asked(path: str) -> None:
    start, body = converse(request_for(path, (b"x-request-id", b"a-probe")), application=with_edge(never))
    assert (start["status"], dict(start["headers"])[b"x-request-id"]) == (200, b"a-probe")
    assert b'"status": "ok"' in body["body"]


@pytest.mark.usefixtures("static_root")
def test_a_collected_file_is_answered_before_django_is_asked() -> None:
    edge = with_edge(never)
    start, body = converse(request_for("/static/small.css"), application=edge)
    assert (start["status"], body["body"]) == (200, b"p { color: red }")
    modified = dict(start["headers"])[b"last-modified"]
    start, _ = converse(request_for("/static/small.css", (b"if-modified-since", modified)), application=edge)
    assert start["status"] == 304


@pytest.mark.parametrize("path", ["/health/live/", "/static/small.css", "/static/large.bin"])
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"1")], [(b"transfer-encoding", b"chunked")]])
@pytest.mark.usefixtures("static_root")
def test_a_body_and_a_large_file_are_left_to_django(path: str, headers: list[tuple[bytes, bytes]]) -> None:
    async def django(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    is_left = bool(headers) or path == "/static/large.bin"
    start, _ = converse(request_for(path, *headers), application=with_edge(django))
    assert (start["status"] == 418) == is_left


def test_headers_are_read_at_the_edge_as_django_reads_them() -> None:
    headers = [
        (b"x-forwarded-for", b"203.0.113.7"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"x_forwarded_proto", b"https"),
    ]
    scope = request_for("/static/small.css", *headers)
    meta = request_meta(scope)
    assert meta["HTTP_X_FORWARDED_FOR"] == "203.0.113.7,10.0.0.1"
    assert meta.items() <= ASGIRequest(scope, io.BytesIO()).META.items()


def test_djangos_middleware_stays_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    hops: list[str] = []
    call = SyncToAsync.__call__

    async def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        hops.append(self.func.__qualname__)
        return await call(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)
    start, _ = converse(request_for("/robots.txt"), {"type": "http.request"})
    assert start["status"] == 200
    # The view, which is no coroutine, Django's signals, and files that are looked for anew in tests.
    known = {"robots", "Signal.asend.<locals>.sync_send", "HttpResponseBase.close", "WhiteNoise.find_file"}
    assert set(hops) == known
    assert set(handler.INLINE) <= set(django_settings.MIDDLEWARE)


@pytest.mark.django_db
def test_sessions_and_messages_are_kept(settings: Settings, admin_user: User) -> None:
    settings.MIDDLEWARE = [handler.INLINE.get(name, name) for name in settings.MIDDLEWARE]
    client: Any = AsyncClient()
    post, get = async_to_sync(client.post), async_to_sync(client.get)
    assert post("/admin/login/", {"username": admin_user.get_username(), "password": "password"}).status_code == 302
    assert post("/admin/auth/group/add/", {"name": "Editors"}).status_code == 302
    assert b"was added successfully" in get("/admin/").content
    assert b"was added successfully" not in get("/admin/").content


@pytest.mark.usefixtures("static_root")
def test_a_small_file_is_sent_in_one_piece() -> None:
    response, pieces = fetch("/static/small.css")
    assert (response.status_code, response.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')
    assert pieces == [b"p { color: red }"]


@pytest.mark.usefixtures("static_root")
def test_a_large_file_is_never_in_memory_as_a_whole() -> None:
    response, pieces = fetch("/static/large.bin")
    assert response.headers["Content-Length"] == str(len(LARGE))
    assert [len(piece) for piece in pieces] == [CHUNK_BYTES, CHUNK_BYTES, 1]
    assert b"".join(pieces) == LARGE


@pytest.mark.usefixtures("static_root")
@pytest.mark.parametrize("name", ["small.css", "large.bin"])
def test_a_file_that_the_browser_has_is_not_sent_again(name: str) -> None:
    first, _ = fetch(f"/static/{name}")
    response, pieces = fetch(f"/static/{name}", headers={"if-modified-since": first.headers["Last-Modified"]})
    assert (response.status_code, b"".join(pieces)) == (304, b"")


@pytest.mark.usefixtures("static_root")
def test_the_headers_of_a_file_can_be_asked_for() -> None:
    response, pieces = fetch("/static/large.bin", method="HEAD")
    assert (response.status_code, response.headers["Content-Length"]) == (200, str(len(LARGE)))
    assert b"".join(pieces) == b""


@pytest.mark.usefixtures("static_root")
def test_a_part_of_a_file_can_be_asked_for() -> None:
    response, pieces = fetch("/static/large.bin", headers={"range": "bytes=10-19"})
    assert (response.status_code, b"".join(pieces)) == (206, LARGE[10:20])


@pytest.mark.usefixtures("static_root")
def test_what_is_no_file_is_for_the_views() -> None:
    assert fetch("/robots.txt")[0].status_code == 200
    assert fetch("/static/missing.css")[0].status_code == 404


def test_a_file_that_is_being_edited_is_found(static_root: Path, settings: Settings) -> None:
    settings.WHITENOISE_AUTOREFRESH = True
    client = AsyncClient()
    assert fetch("/static/new.css", client)[0].status_code == 404
    (static_root / "new.css").write_bytes(b"p { color: blue }")
    assert fetch("/static/new.css", client)[1] == [b"p { color: blue }"]


@pytest.mark.usefixtures("static_root")
def test_files_are_served_to_synchronous_callers_too(client: Client) -> None:
    response = client.get("/static/small.css")
    assert b"".join(response) == b"p { color: red }"


def request_for(path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


async def never(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("Django was asked")


class Transport(asyncio.Transport):
    """What uvicorn writes to, kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.answered = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += data
        self.answered.set()

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass


@async_to_sync
async def talk(*pieces: bytes) -> bytes:
    """What uvicorn answers to these bytes."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = Config(answer, log_config=None, access_log=False)
    config.load()
    protocol = uvicorn_worker.Protocol(config, ServerState(), {})
    transport = Transport()
    protocol.connection_made(transport)
    for piece in pieces:
        protocol.data_received(piece)
    await asyncio.wait_for(transport.answered.wait(), 5)
    protocol.connection_lost(None)
    return transport.written


@async_to_sync
async def converse(scope: dict[str, Any], *messages: dict[str, Any], application: Any = application) -> tuple[Any, Any]:
    """The first two messages that the application answers with."""
    server: Any = ApplicationCommunicator(application, scope)  # type: ignore[no-untyped-call]
    for message in messages:
        await server.send_input(message)
    answers = await server.receive_output(), await server.receive_output()
    await server.wait()
    return answers


@async_to_sync
async def fetch(
    path: str, client: AsyncClient | None = None, method: str = "GET", **options: Any
) -> tuple[Any, list[bytes]]:
    """A response and the pieces of its body."""
    response: Any = await (client or AsyncClient()).generic(method, path, **options)
    pieces = [piece async for piece in response] if response.streaming else [response.content]
    return response, pieces
