"""S3: moto's server with buckets over HTTP, kept in memory."""

import sys
import urllib.request
from pathlib import Path

from tests.services.process import HOST, find_package
from tests.services.service import Server


class S3(Server):
    """moto's server; it accepts any credentials and refuses unsigned reads."""

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
        request = urllib.request.Request(url, method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            return url
