"""Azure Blob Storage: Microsoft's emulator, under the account's real host name."""

import socket
import ssl
from http import HTTPStatus
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.services.certificate import Certificate
from tests.services.forwarder import couple
from tests.services.process import HOST, NotInstalledError, find_program, free_port
from tests.services.service import Server
from tests.services.tokens import TokenServer, make_token

TEMPLATE = Path(__file__).resolve().parents[2]
PROGRAM = TEMPLATE / "build/azurite/node_modules/azurite/dist/src/blob/main.js"


class Azure(Server):
    """Azurite over HTTPS with tokens; `environment` leads clients to it by a proxy."""

    account = "devstoreaccount1"  # built into Azurite
    host = f"{account}.blob.core.windows.net"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.certificate = Certificate(self.folder, self.host)
        self.tokens = TokenServer()
        self.proxy = Proxy((HOST, free_port()), self.port)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables for a managed identity and for the proxy."""
        return {
            "IDENTITY_ENDPOINT": self.tokens.url,
            "IDENTITY_HEADER": "any",
            "HTTPS_PROXY": f"http://{HOST}:{self.proxy.server_port}",
            "REQUESTS_CA_BUNDLE": str(self.certificate.file),
            "SSL_CERT_FILE": str(self.certificate.file),
        }

    def command(self) -> list[str | Path]:
        if not PROGRAM.exists():
            raise NotInstalledError("azurite is not installed: scripts/servers")
        address = ["--blobHost", HOST, "--blobPort", str(self.port)]
        tls = ["--cert", self.certificate.file, "--key", self.certificate.key]
        options = "--oauth basic --inMemoryPersistence --disableTelemetry".split()
        options += ["--skipApiVersionCheck", "--silent"]
        return [find_program("node", "nodejs"), PROGRAM, *address, *tls, *options]

    def start(self) -> None:
        super().start()
        self.tokens.__enter__()
        Thread(target=self.proxy.serve_forever, daemon=True).start()

    def create_container(self, name: str) -> str:
        """Make an empty container and return its name."""
        trust = ssl.create_default_context(cafile=self.certificate.file)
        connection = HTTPSConnection(HOST, self.port, context=trust, timeout=10)
        headers = {
            "Host": self.host,
            "Authorization": f"Bearer {make_token()}",
            "x-ms-version": "2023-11-03",
        }
        connection.request("PUT", f"/{name}?restype=container", headers=headers)
        answer = connection.getresponse()
        assert answer.status == HTTPStatus.CREATED, answer.read()
        return name

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.tokens.__exit__()
        self.proxy.shutdown()
        self.proxy.server_close()


class Proxy(ThreadingHTTPServer):
    """An HTTP proxy that leads every CONNECT to one port."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], target: int) -> None:
        super().__init__(address, Connect)
        self.target = target


class Connect(BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        with socket.create_connection((HOST, self.server.target)) as target:
            self.send_response(200)
            self.end_headers()
            couple(self.connection, target)

    def log_message(self, *arguments: object) -> None:
        pass
