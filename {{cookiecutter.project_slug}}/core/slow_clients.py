"""How long a thread of Gunicorn waits for a client that has begun to send a request, and what it does then.

Gunicorn itself sets no limit: as many clients as there are threads, each stalled within its request, stop the service.
"""

from collections.abc import Callable, Iterable
from socket import socket
from time import monotonic
from typing import Any, Protocol

from django.core.exceptions import SuspiciousOperation

TIMEOUT_S = 20.0  # for the head, and for each piece of the body
HURRY_S = 2.0  # the same, while all threads wait for clients and none is left for anybody else
PIECE_BYTES = 64 * 1024

# Since when a thread waits for the rest of a head, or for the next piece of a body.
heads: dict[socket, float] = {}
bodies: dict[socket, float] = {}
# Those whose time was up.
ended: set[socket] = set()

type Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Stream(Protocol):
    def read(self, size: int) -> bytes: ...
    def readline(self, size: int) -> bytes: ...


class SlowBodyError(SuspiciousOperation):
    """The client did not send its body in time; Django answers 400."""


def overdue(waiting: dict[socket, float], threads: int) -> list[socket]:
    """The sockets whose time is up, where the worker has so many threads."""
    since = monotonic() - (HURRY_S if len(heads) + len(bodies) >= threads else TIMEOUT_S)
    return [connection for connection, began in list(waiting.items()) if began < since]


class TimedBody:
    """The body of a request: watched while a thread waits for it, and never taken for whole when it is not."""

    def __init__(self, stream: Stream, connection: socket) -> None:
        self.stream = stream
        self.connection = connection

    def read(self, size: int) -> bytes:
        """All of ``size`` bytes, or what there is before the end: Django asks once, and takes it for whole."""
        pieces = []
        while size and (piece := self.take(self.stream.read, size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def readline(self, size: int) -> bytes:
        line = b""
        while len(line) < size and (piece := self.take(self.stream.readline, size - len(line))):
            line += piece
            if line.endswith(b"\n"):
                break
        return line

    def take(self, read: Callable[[int], bytes], size: int) -> bytes:
        bodies[self.connection] = monotonic()
        try:
            data = read(min(size, PIECE_BYTES))
        finally:
            bodies.pop(self.connection, None)
        if self.connection in ended:
            raise SlowBodyError("The body did not arrive in time")
        return data


def time_body(application: Application) -> Application:
    """The WSGI application, whose requests' bodies have to arrive in time."""

    def timed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if connection := environ.get("gunicorn.socket"):
            heads.pop(connection, None)
            environ["wsgi.input"] = TimedBody(environ["wsgi.input"], connection)
        return application(environ, start_response)

    return timed
