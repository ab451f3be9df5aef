"""An OpenID Connect provider that lets everybody in: oidc-provider-mock."""

import sys
from pathlib import Path

from tests.services.process import HOST, NotInstalledError
from tests.services.service import Server


class OpenIDProvider(Server):
    """A provider whose page asks nothing but the name of a person."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str | Path]:
        program = Path(sys.executable).with_name("oidc-provider-mock")
        if not program.exists():
            raise NotInstalledError(
                "the provider is not installed: pip install oidc-provider-mock"
            )
        return [program, f"--port={self.port}"]
