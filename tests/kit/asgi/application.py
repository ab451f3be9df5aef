"""config/asgi.py, core/loop.py: request bodies, disconnects, sessions and messages."""

import asyncio

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from config.asgi import application
from core.logs import access_middleware
from django.test import AsyncClient, AsyncRequestFactory
from django.urls import reverse


def test_a_body_that_is_declared_too_large_is_not_received():
    start = converse(request_for((b"content-length", b"5000000000")))
    assert start["status"] == 413


def test_a_body_whose_length_is_not_the_one_declared_is_not_received():
    """Chunks win over Content-Length (RFC 9112, 6.3): they have no limit."""
    both = ((b"content-length", b"10"), (b"transfer-encoding", b"chunked"))
    assert converse(request_for(*both, method="POST"))["status"] == 411


def test_a_body_within_the_limit_arrives_whole():
    pieces = [
        {"type": "http.request", "body": b"user", "more_body": True},
        {"type": "http.request", "body": b"name=a"},
    ]
    length = (b"content-length", b"10")
    start = converse(request_for(length, method="POST", path="/admin/login/"), *pieces)
    assert start["status"] == 403  # no CSRF token


def test_a_client_that_disconnects_is_in_the_access_log(caplog):
    caplog.set_level("INFO", "access")

    async def leave():
        begun = asyncio.Event()

        async def never_answer(request):
            begun.set()
            await asyncio.Event().wait()

        request = AsyncRequestFactory().get("/slow/")
        response = asyncio.ensure_future(access_middleware(never_answer)(request))
        await begun.wait()
        response.cancel()
        await response

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leave())
    [line] = caplog.records
    assert (line.path, line.status) == ("/slow/", 499)


@pytest.mark.django_db
def test_sessions_and_messages_are_kept(admin_user):
    client = AsyncClient()
    post, get = async_to_sync(client.post), async_to_sync(client.get)
    form = {"username": admin_user.get_username(), "password": "password"}
    assert post(reverse("admin:login"), form).status_code == 302
    assert post(reverse("admin:auth_group_add"), {"name": "Ink"}).status_code == 302
    index = reverse("admin:index")
    assert "was added successfully" in get(index).text
    assert "was added successfully" not in get(index).text


def request_for(*headers, method="GET", path="/"):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


@async_to_sync
async def converse(scope, *messages):
    """Return the first message of the application's answer."""
    server = ApplicationCommunicator(application, scope)
    for message in messages:
        await server.send_input(message)
    start = await server.receive_output()
    await server.receive_output()
    await server.wait()
    return start
