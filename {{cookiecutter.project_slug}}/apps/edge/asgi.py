"""Answers probes and requests for static files before Django is asked, which would make each several times as dear.

The middleware for both stays behind it, for the development server and the tests. Nothing here leaves the event loop,
except to read what is too large for one piece.
"""

from collections.abc import Iterable
from typing import Any

from whitenoise.responders import Response

from apps.edge.files import answer, find_files
from apps.health.middleware import LIVE, READY, liveness, readiness
from apps.health.readiness import all_pass_async
from apps.pages.static import CHUNK_BYTES, Chunks
from apps.security.bodies import Application, Receive, Send


def with_edge(application: Application) -> Application:
    """The ASGI application, asked only for what is neither a probe nor a static file."""
    files = find_files()

    async def serve(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in (READY, LIVE):
            meta = request_meta(scope)
            status, headers, body = readiness(await all_pass_async(), meta) if path == READY else liveness(meta)
            await start(send, status, headers.items())
            await send({"type": "http.response.body", "body": body})
        elif (file := files.get(path)) and (response := answer(file, path, request_meta(scope))):
            await start(send, response.status, response.headers)
            await send_file(send, response)
        else:
            await application(scope, receive, send)

    return serve


def request_meta(scope: dict[str, Any]) -> dict[str, Any]:
    """What ``HttpRequest.META`` has to say about method, peer and headers, read as Django reads them."""
    client = scope.get("client")
    meta = {"REQUEST_METHOD": scope["method"], "REMOTE_ADDR": client[0] if client else ""}
    for name, value in scope["headers"]:
        if b"_" not in name:  # or a client could pass for a proxy
            key, text = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}", value.decode("latin-1")
            meta[key] = f"{meta[key]},{text}" if key in meta else text
    return meta


async def start(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": int(status), "headers": encoded})


async def send_file(send: Send, response: Response) -> None:
    if response.file is None:
        await send({"type": "http.response.body"})
        return
    with response.file as file:
        if int(dict(response.headers)["Content-Length"]) <= CHUNK_BYTES:
            await send({"type": "http.response.body", "body": file.read()})
            return
        async for chunk in Chunks(file):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})
