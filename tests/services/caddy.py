"""Caddy: as the proxy that ends TLS, with a certificate of its own making, and as the balancer of instances."""

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

# Caddy asks the instances for their readiness. One that cannot be reached costs a request another try. Not round_robin:
# with one of two instances out, Caddy 2.6 now and then finds nobody under it, when two requests turn the wheel at once.
BALANCER = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind {host}
    reverse_proxy {upstreams} {{
        health_uri /health/ready/
        health_interval 500ms
        health_timeout 2s
        lb_policy least_conn
        lb_try_duration 2s
        header_up X-Forwarded-Proto https
    }}
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
        return run_caddy(file)

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


class CaddyBalancer(Server):
    """HTTP on loopback, shared out among the ports that say that they are ready."""

    def __init__(self, folder: Path, *upstreams: int) -> None:
        super().__init__(folder)
        self.upstreams = upstreams

    def command(self) -> list[str | Path]:
        file = self.folder / "Caddyfile"
        upstreams = " ".join(f"{HOST}:{port}" for port in self.upstreams)
        file.write_text(BALANCER.format(port=self.port, host=HOST, upstreams=upstreams))
        return run_caddy(file)


def run_caddy(file: Path) -> list[str | Path]:
    """The command that serves a Caddyfile and keeps all that it writes beside it."""
    home = [f"{variable}={file.parent}" for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")]
    return ["env", *home, find_program("caddy", "caddy"), "run", "--config", file, "--adapter", "caddyfile"]
