"""Visitors of the site on the server: kept and fresh connections, GET and POST."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.drill.instances import Load
from tests.server.host import SITE, Host
from tests.services.proxy import ANY_CERTIFICATE


class Connection(http.client.HTTPSConnection):
    """To the server's address, under the name of the site."""

    def __init__(
        self, host: Host, context: ssl.SSLContext = ANY_CERTIFICATE, timeout: float = 10
    ) -> None:
        super().__init__(SITE, timeout=timeout)
        self._address, self._tls = host.address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, 443), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._tls.wrap_socket(plain, server_hostname=SITE)


def fetch(host: Host, path: str = "/", method: str = "GET", **options):
    """Return an answer with its body in `content`."""
    connection = Connection(host)
    connection.request(method, path, **options)
    answer = connection.getresponse()
    answer.content = answer.read()
    connection.close()
    return answer


@dataclass
class Traffic:
    loads: list[Load]

    @property
    def requests(self) -> int:
        return sum(load.requests for load in self.loads)

    @property
    def failures(self) -> list[tuple[float, str]]:
        return sorted(failure for load in self.loads for failure in load.failures)

    def wait_for(self, requests: int) -> None:
        """Wait until this many have been answered since the beginning."""
        for load in self.loads:
            share = requests // len(self.loads) + 1
            load.wait_for(max(0, share - load.requests), timeout=300)

    def told(self) -> str:
        return f"{len(self.failures)} of {self.requests} requests failed"


@contextmanager
def traffic(
    host: Host, page: str = "/", form: str = "/drill/body/"
) -> Iterator[Traffic]:
    """Send requests until the block ends: a third of them are POST with 2 kB."""
    connect = lambda: Connection(host)  # noqa: E731
    kinds = [
        {"path": page, "clients": 2},
        {"path": page, "clients": 2, "keeps_connections": False},
        {"path": form, "clients": 1, "body": b"x" * 2000},
        {"path": form, "clients": 1, "body": b"x" * 2000, "keeps_connections": False},
    ]
    with ExitStack() as stack:
        loads = [Load(port=443, connect=connect, pause=0.05, **kind) for kind in kinds]
        for load in loads:
            stack.enter_context(load)
        yield Traffic(loads)
