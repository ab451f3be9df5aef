"""A port that swallows packets, like a host behind a firewall that drops them."""

import socket
from typing import Self

from tests.services.process import HOST, free_port

ENOUGH = 64  # connections; Linux and macOS stop answering after one to three


class BlackHole:
    """A listening socket with a full backlog: the kernel answers no new connection."""

    def __init__(self) -> None:
        self.port = free_port()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        listener = self._socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, self.port))
        listener.listen(0)
        if not any(self._times_out() for _ in range(ENOUGH)):
            self.__exit__()
            raise RuntimeError(
                f"port {self.port} still answers after {ENOUGH} connections: "
                "this kernel does not limit the backlog"
            )
        return self

    def __exit__(self, *error: object) -> None:
        while self._sockets:
            self._sockets.pop().close()

    def _times_out(self) -> bool:
        """Connect once more; tell whether the backlog was full."""
        client = self._socket()
        client.settimeout(0.2)
        try:
            client.connect((HOST, self.port))
        except TimeoutError:
            return True
        return False

    def _socket(self) -> socket.socket:
        self._sockets.append(socket.socket())
        return self._sockets[-1]
