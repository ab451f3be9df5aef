"""Caddy as the proxy that ends TLS, with a certificate of its own making."""

import contextlib
import socket
import ssl
from pathlib import Path

from tests.services.process import HOST, find_program
from tests.services.service import Server

CADDYFILE = """
{{
    admin off
    auto_https disable_redirects
    skip_install_trust
}}
https://{name}:{port} {{
    bind {host}
    tls internal
    reverse_proxy {host}:{upstream}
}}
"""


class Caddy(Server):
    """HTTPS for one host name, in front of a port on loopback."""

    def __init__(self, folder: Path, name: str, upstream: int) -> None:
        super().__init__(folder)
        self.name = name
        self.upstream = upstream

    @property
    def url(self) -> str:
        return f"https://{self.name}:{self.port}"

    def command(self) -> list[str | Path]:
        file = self.folder / "Caddyfile"
        file.write_text(CADDYFILE.format(name=self.name, port=self.port, host=HOST, upstream=self.upstream))
        home = [f"{variable}={self.folder}" for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")]
        return ["env", *home, find_program("caddy", "caddy"), "run", "--config", file, "--adapter", "caddyfile"]

    def ready(self) -> bool:
        """The certificate is made after the port is open."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            contextlib.suppress(OSError),
            socket.create_connection((HOST, self.port), timeout=1) as connection,
            context.wrap_socket(connection, server_hostname=self.name),
        ):
            return True
        return False
