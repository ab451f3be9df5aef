"""Gunicorn's threads, of which none waits for ever for a client.

Each call into the kernel lets another thread take over and the caller wait for its next turn, so there are fewer of them.
"""

import contextlib
import socket
from time import monotonic
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.util import write_error
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from apps.security import slow_clients

LONGEST_COPIED = 64 * 1024  # bytes


class Connection(socket.socket):
    """A client's connection that blocks throughout; Gunicorn would change its mode five times a request."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(True)

    def setblocking(self, flag: bool) -> None:
        pass

    def settimeout(self, value: float | None) -> None:
        if value != self.gettimeout():
            super().settimeout(value)


class Pieces(list[bytes]):
    """What a response would send, one after the other."""

    sendall = list.append


class Response(wsgi.Response):
    """Sends the head together with the first piece of the body: a packet and a system call less for most responses."""

    sock: Any

    def write(self, arg: bytes) -> None:
        if self.headers_sent or len(arg) > LONGEST_COPIED:
            super().write(arg)
            return
        connection, pieces = self.sock, Pieces()
        self.sock = pieces
        try:
            super().write(arg)
        finally:
            self.sock = connection
            connection.sendall(b"".join(pieces))


# A worker has no say in it: what makes its responses takes the class from its own module.
wsgi.Response = Response


class Worker(ThreadWorker):
    """Ends what a client does not finish sending; connections that are silent from the start hold no thread at all."""

    def handle(self, conn: Any) -> Any:
        if not conn.initialized:
            if not isinstance(conn.sock, Connection):
                conn.sock = Connection(conn.sock)
            # Gunicorn would let a thread wait for 5 s.
            if not conn.wait_for_data(0):
                return _DEFER
        slow_clients.heads[conn.sock] = monotonic()
        try:
            return super().handle(conn)
        finally:
            slow_clients.heads.pop(conn.sock, None)
            slow_clients.ended.discard(conn.sock)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        # Nothing is left of a body: Gunicorn would change the mode of the socket to find that out.
        body = conn.parser.mesg.body.reader
        if keepalive and isinstance(body, LengthReader) and not body.length:
            return True
        try:
            return bool(super()._keepalive_after(conn, keepalive))
        except ParseException:
            # The rest of a body that the application did not read; the request has had its answer and its line.
            return False

    def notify(self) -> None:
        """Called by the main thread once a second or more often."""
        super().notify()
        late_heads = slow_clients.overdue(slow_clients.heads, self.cfg.threads)
        late_bodies = slow_clients.overdue(slow_clients.bodies, self.cfg.threads)
        for connection in late_heads:
            slow_clients.heads.pop(connection, None)
            self.log.warning("A request did not arrive in time")
            with contextlib.suppress(OSError):
                # The main thread must not wait for somebody who does not read.
                connection.settimeout(0)
                write_error(connection, 408, "Request Timeout", "")
            stop_reading(connection)
        for connection in late_bodies:
            slow_clients.ended.add(connection)
            stop_reading(connection)


def stop_reading(connection: socket.socket) -> None:
    """The thread that waits for the client's next bytes sees the end of them."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
