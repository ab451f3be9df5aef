"""An HTTP server inside the tests for what a project sends to other services."""

import gzip
import threading
from abc import abstractmethod
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli

from tests.services.process import HOST
from tests.services.service import Service

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
}


class Sink(Service):
    """A server that decompresses every posted body and calls `receive` with it."""

    content_type: str
    answer: bytes
    _server: ThreadingHTTPServer | None = None

    @abstractmethod
    def receive(self, path: str, body: bytes) -> None:
        """Keep a body; raise LookupError for an unknown path."""

    def start(self) -> None:
        if self._server is None:
            handler = type("BoundHandler", (_Handler,), {"sink": self})
            self._server = ThreadingHTTPServer((HOST, self.port), handler)
            serve = self._server.serve_forever
            threading.Thread(target=serve, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep connections, as the real services do
    sink: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding", "")
        try:
            self.sink.receive(self.path, DECODERS[encoding](body))
        except LookupError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", self.sink.content_type)
        self.send_header("Content-Length", str(len(self.sink.answer)))
        self.end_headers()
        self.wfile.write(self.sink.answer)

    def log_message(self, *args: object) -> None:
        """Write nothing: the default writes every request to stderr."""
