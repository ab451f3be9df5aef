"""The proxies of a project, with the files in its `deploy/`, in front of instances."""

import contextlib
import socket
import ssl
from pathlib import Path

from tests.services.process import HOST, free_port
from tests.services.service import Server

SITE = "shop.test"
# The certificates of the tests are self-signed.
ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


class Proxy(Server):
    """HTTPS for shop.test on one port and HTTP on another, for several instances."""

    def __init__(self, folder: Path, project: Path, *upstreams: int) -> None:
        super().__init__(folder)
        self.project = project
        self.upstreams = upstreams
        self.plain_port = free_port()

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def url(self) -> str:
        return f"https://{SITE}:{self.port}"

    def connect(
        self, *, plain: bool = False, source: str = HOST, timeout: float = 20
    ) -> socket.socket:
        """Connect to one of its ports, from a loopback address."""
        port = self.plain_port if plain else self.port
        connection = socket.create_connection((HOST, port), timeout, (source, 0))
        if plain:
            return connection
        return ANY_CERTIFICATE.wrap_socket(connection, server_hostname=SITE)

    def ready(self) -> bool:
        """Tell whether TLS works: Caddy opens the port before it has a certificate."""
        with contextlib.suppress(OSError), self.connect(timeout=1):
            return True
        return False
