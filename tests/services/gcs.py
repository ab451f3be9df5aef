"""Google Cloud Storage: an emulator with buckets over HTTP, kept in memory."""

import json
import sys
from pathlib import Path

from tests.services.certificate import Certificate
from tests.services.process import HOST, find_package
from tests.services.service import Server
from tests.services.tokens import TokenServer


class GCS(Server):
    """gcp-storage-emulator; it accepts any credentials and checks no signature."""

    bucket = "uploads"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tokens = TokenServer()
        self.account = self.folder / "account.json"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables with which Google's client uses the emulator."""
        return {
            "STORAGE_EMULATOR_HOST": f"http://{HOST}:{self.port}",
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.account),
        }

    def command(self) -> list[str | Path]:
        find_package("gcp_storage_emulator", "gcp-storage-emulator")
        options = ["--host", HOST, "--port", str(self.port), "--in-memory", "--quiet"]
        options += ["--default-bucket", self.bucket]
        return [sys.executable, "-m", "gcp_storage_emulator", "start", *options]

    def start(self) -> None:
        account = {
            "type": "service_account",
            "project_id": "shop",
            "client_email": "shop@shop.iam.gserviceaccount.test",
            "token_uri": self.tokens.url,
            "private_key": Certificate(self.folder).key.read_text(),
        }
        self.account.write_text(json.dumps(account))
        super().start()
        self.tokens.__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.tokens.__exit__()
