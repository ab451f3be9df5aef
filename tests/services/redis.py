"""Redis: a cache loses its data at a restart; a broker (`keeps`) does not."""

import socket
from pathlib import Path
from urllib.parse import quote

from tests.services.certificate import Certificate
from tests.services.process import HOST, find_program, wait_until
from tests.services.service import Server


class Redis(Server):
    """Redis, with or without a password; with a certificate it only speaks TLS."""

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
        scheme = "rediss" if self.certificate else "redis"
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{scheme}://{login}{HOST}:{self.port}/0"

    def command(self) -> list[str | Path]:
        program = find_program("redis-server", "redis-server")
        options = ["--bind", HOST, "--port", str(self.port)]
        options += ["--save", "", "--dir", str(self.folder)]
        if self.keeps:
            options += ["--appendonly", "yes", "--appendfsync", "always"]
        else:
            options += ["--appendonly", "no"]
        if self.certificate:
            options += ["--port", "0", "--tls-port", str(self.port)]
            options += ["--tls-auth-clients", "no"]
            options += ["--tls-cert-file", str(self.certificate.file)]
            options += ["--tls-key-file", str(self.certificate.key)]
        if self.password:
            options += ["--requirepass", self.password]
        return [program, *options]

    def ask(self, command: str) -> str:
        """Send one command and return the answer."""
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(4096), b"")).decode()

    def follow(self, primary: "Redis") -> None:
        """Become a replica; return when it has all that the primary has."""
        self.ask(f"REPLICAOF {HOST} {primary.port}")
        is_up = "master_link_status:up"
        wait_until(lambda: is_up in self.ask("INFO replication"), 20, "the replica")
