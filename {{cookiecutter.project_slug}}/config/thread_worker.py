"""Gunicorn's threads, of which none waits for ever for a client."""

import contextlib
import socket
from time import monotonic
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.util import write_error
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from apps.security import slow_clients


class Worker(ThreadWorker):
    """Ends what a client does not finish sending; connections that are silent from the start hold no thread at all."""

    def handle(self, conn: Any) -> Any:
        # Gunicorn would let a thread wait for 5 s.
        if not conn.initialized and not conn.wait_for_data(0):
            return _DEFER
        slow_clients.heads[conn.sock] = monotonic()
        try:
            return super().handle(conn)
        finally:
            slow_clients.heads.pop(conn.sock, None)
            slow_clients.ended.discard(conn.sock)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
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
                write_error(connection, 408, "Request Timeout", "")
            stop_reading(connection)
        for connection in late_bodies:
            slow_clients.ended.add(connection)
            stop_reading(connection)


def stop_reading(connection: socket.socket) -> None:
    """The thread that waits for the client's next bytes sees the end of them."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
