"""S3 as moto serves it: buckets over HTTP, gone with the server."""

import sys
import urllib.request
from pathlib import Path

from tests.services.process import HOST, find_package
from tests.services.service import Server


class S3(Server):
    """moto's server; it accepts any credentials and refuses unsigned reads of private objects."""

    access_key = "test-access-key"
    secret_key = "test-secret-key"
    region = "us-east-1"

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str | Path]:
        find_package("moto", "moto[server]")
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]

    def create_bucket(self, name: str) -> str:
        """Make an empty bucket and return its URL."""
        url = f"{self.endpoint_url}/{name}"
        with urllib.request.urlopen(
            urllib.request.Request(url, method="PUT"), timeout=10
        ):
            return url
