"""A sink for Sentry's envelopes, to see what a project reports and what it keeps to itself."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import brotli

from tests.services.process import HOST, wait_until
from tests.services.service import Service

DECODERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.decompress, "br": brotli.decompress}


class SentrySink(Service):
    """An HTTP server for one DSN: `events` holds the error events it received, `envelopes` all that came, as bytes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.events: list[dict] = []
        self.envelopes: list[bytes] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def dsn(self) -> str:
        return f"http://key@{HOST}:{self.port}/1"

    def start(self) -> None:
        if self._server is None:
            handler = type("BoundHandler", (_Handler,), {"sink": self})
            self._server = ThreadingHTTPServer((HOST, self.port), handler)
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def wait_for_event(self, timeout: float = 10) -> dict:
        """Return the newest event, once there is one."""
        wait_until(lambda: self.events, timeout, "an event arrives")
        return self.events[-1]

    def receive(self, envelope: bytes) -> None:
        """Keep the events of an envelope, in `events` and as JSON in the folder."""
        self.envelopes.append(envelope)
        for kind, payload in _items(envelope):
            if kind == "event":
                (self.folder / f"{len(self.events) + 1}.json").write_bytes(payload)
                self.events.append(json.loads(payload))


class _Handler(BaseHTTPRequestHandler):
    sink: SentrySink

    def do_POST(self) -> None:
        if self.path != "/api/1/envelope/":
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.sink.receive(DECODERS[self.headers.get("Content-Encoding", "")](body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Say nothing: the default writes every request to stderr."""


def _items(envelope: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the type and payload of every item (https://develop.sentry.dev/sdk/foundations/transport/envelopes/)."""
    _, _, rest = envelope.partition(b"\n")
    while rest:
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        length = header.get("length", (rest + b"\n").index(b"\n"))
        yield header["type"], rest[:length]
        rest = rest[length:].lstrip(b"\n")
