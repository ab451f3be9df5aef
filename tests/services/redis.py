"""Redis: a restart loses everything, as a cache must bear, unless it is told to keep it, as a broker must."""

from pathlib import Path
from urllib.parse import quote

from tests.services.certificate import Certificate
from tests.services.process import HOST, find_program
from tests.services.service import Server


class Redis(Server):
    """Redis, with a password if one is given, and over TLS alone where it gets a certificate."""

    def __init__(
        self,
        folder: Path,
        password: str = "",
        certificate: Certificate | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        super().__init__(folder)
        self.password = password
        self.certificate = certificate
        self.keeps = keeps

    @property
    def url(self) -> str:
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return (
            f"{'rediss' if self.certificate else 'redis'}://{login}{HOST}:{self.port}/0"
        )

    def command(self) -> list[str | Path]:
        program = find_program("redis-server", "redis-server")
        options = [
            "--bind",
            HOST,
            "--port",
            str(self.port),
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        options += (
            ["--appendonly", "yes", "--appendfsync", "always"]
            if self.keeps
            else ["--appendonly", "no"]
        )
        if self.certificate:
            options += [
                "--port",
                "0",
                "--tls-port",
                str(self.port),
                "--tls-auth-clients",
                "no",
            ]
            options += [
                "--tls-cert-file",
                str(self.certificate.file),
                "--tls-key-file",
                str(self.certificate.key),
            ]
        return [
            program,
            *options,
            *(["--requirepass", self.password] if self.password else []),
        ]
