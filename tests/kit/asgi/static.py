"""core/static.py: static files on the event loop, as WhiteNoise serves them."""

import os

import pytest
from asgiref.sync import async_to_sync
from core.static import CHUNK_BYTES
from django.test import AsyncClient

LARGE = os.urandom(2 * CHUNK_BYTES + 1)


@pytest.fixture(autouse=True)
def static_root(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_AUTOREFRESH = False
    (tmp_path / "small.css").write_bytes(b"p { color: red }")
    (tmp_path / "large.bin").write_bytes(LARGE)


def test_a_small_file_is_sent_in_one_piece():
    response, pieces = fetch("/static/small.css")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == 'text/css; charset="utf-8"'
    assert pieces == [b"p { color: red }"]


def test_a_large_file_is_never_in_memory_as_a_whole():
    response, pieces = fetch("/static/large.bin")
    assert response.headers["Content-Length"] == str(len(LARGE))
    assert [len(piece) for piece in pieces] == [CHUNK_BYTES, CHUNK_BYTES, 1]
    assert b"".join(pieces) == LARGE


@pytest.mark.parametrize("name", ["small.css", "large.bin"])
def test_a_file_that_the_browser_has_is_not_sent_again(name):
    modified = fetch(f"/static/{name}")[0].headers["Last-Modified"]
    headers = {"if-modified-since": modified}
    response, pieces = fetch(f"/static/{name}", headers=headers)
    assert (response.status_code, b"".join(pieces)) == (304, b"")


def test_headers_and_parts_of_a_file_can_be_asked_for():
    response, pieces = fetch("/static/large.bin", method="HEAD")
    assert response.headers["Content-Length"] == str(len(LARGE))
    assert b"".join(pieces) == b""
    response, pieces = fetch("/static/large.bin", headers={"range": "bytes=10-19"})
    assert (response.status_code, b"".join(pieces)) == (206, LARGE[10:20])


def test_other_paths_are_for_the_views():
    assert fetch("/")[0].status_code == 200
    assert fetch("/static/missing.css")[0].status_code == 404


def test_a_file_that_is_being_edited_is_found(settings, tmp_path):
    settings.WHITENOISE_AUTOREFRESH = True
    client = AsyncClient()
    assert fetch("/static/new.css", client)[0].status_code == 404
    (tmp_path / "new.css").write_bytes(b"p { color: blue }")
    assert fetch("/static/new.css", client)[1] == [b"p { color: blue }"]


@async_to_sync
async def fetch(path, client=None, method="GET", **options):
    """Return a response and the pieces of its body."""
    response = await (client or AsyncClient()).generic(method, path, **options)
    if response.streaming:
        return response, [piece async for piece in response]
    return response, [response.content]
