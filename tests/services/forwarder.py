"""An address that can move from one server to another, as a failover moves it."""

import contextlib
import socket
import socketserver
import threading
from pathlib import Path

from tests.services.process import HOST
from tests.services.service import Service


class Forwarder(Service):
    """A port that leads to `target`; a connection stays where it was made."""

    def __init__(self, folder: Path, target: int) -> None:
        super().__init__(folder)
        self.target = target

    def start(self) -> None:
        forwarder = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection((HOST, forwarder.target)) as server:
                    couple(self.request, server)

        self._server = Listener((HOST, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


def couple(client: socket.socket, server: socket.socket) -> None:
    """Pass on what either side sends, until both have ended."""
    back = threading.Thread(target=pump, args=(server, client), daemon=True)
    back.start()
    pump(client, server)
    back.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on all that arrives, and then the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
