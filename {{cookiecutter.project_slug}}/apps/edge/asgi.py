"""Answers probes and requests for static files before Django is asked, which would make each several times as dear.

Whatever else comes to their addresses is left to Django, whose middleware answers for both: other methods, bodies, plain
HTTP, large files, which are read piece by piece. Nothing here leaves the event loop.
"""

from collections.abc import Iterable
from typing import Any

from whitenoise.responders import StaticFile

from apps.edge.files import answer, find_files
from apps.health.middleware import LIVE, READY, liveness, readiness
from apps.health.readiness import all_pass_async
from apps.pages.static import CHUNK_BYTES
from apps.security.bodies import Application, Receive, Send

OF_A_BODY = {b"content-length", b"transfer-encoding"}


def with_edge(application: Application) -> Application:
    """The ASGI application, asked only for what is neither a probe nor a static file."""
    files = {path: file for path, file in find_files().items() if is_small(file)}

    async def serve(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["method"] == "GET" and not OF_A_BODY.intersection(name for name, _ in scope["headers"]):
            if path in (READY, LIVE):
                meta = request_meta(scope)
                answered = readiness(await all_pass_async(), meta) if path == READY else liveness(meta)
                status, headers, body = answered
                await respond(send, status, headers.items(), body)
                return
            if (file := files.get(path)) and (found := answer(file, path, request_meta(scope))):
                content = b""
                if found.file:
                    with found.file:
                        content = found.file.read()
                await respond(send, found.status, found.headers, content)
                return
        await application(scope, receive, send)

    return serve


def is_small(file: StaticFile) -> bool:
    """Whether a file may be read on the event loop, in each of its encodings."""
    return all(int(dict(headers)["Content-Length"]) <= CHUNK_BYTES for _, _, headers in file.alternatives)


def request_meta(scope: dict[str, Any]) -> dict[str, Any]:
    """What ``HttpRequest.META`` has to say about method, peer and headers, read as Django reads them."""
    client = scope.get("client")
    meta = {"REQUEST_METHOD": scope["method"], "REMOTE_ADDR": client[0] if client else ""}
    for name, value in scope["headers"]:
        if b"_" not in name:  # or a client could pass for a proxy
            key, text = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}", value.decode("latin-1")
            meta[key] = f"{meta[key]},{text}" if key in meta else text
    return meta


async def respond(send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": int(status), "headers": encoded})
    await send({"type": "http.response.body", "body": body})
