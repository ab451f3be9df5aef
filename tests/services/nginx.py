"""nginx, the open-source one, with the project's own default.conf."""

import getpass
import os
import signal
from pathlib import Path

from tests.services.certificate import Certificate
from tests.services.process import HOST, find_program, wait_until
from tests.services.proxy import SITE, Proxy

# What the image's own nginx.conf does, without its folders.
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
{user}

events {{
    worker_connections 1024;
}}

http {{
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/default.conf;
}}
"""
LISTEN = """
    listen {host}:{plain_port};
    listen {host}:{port} ssl;
    ssl_certificate {certificate.file};
    ssl_certificate_key {certificate.key};
"""


class Nginx(Proxy):
    """It asks nobody for health: whom it leaves out, it is told."""

    stop_signal = signal.SIGQUIT

    def command(self) -> list[str | Path]:
        certificate = Certificate(self.folder, SITE)
        self._listen = LISTEN.format(
            host=HOST,
            plain_port=self.plain_port,
            port=self.port,
            certificate=certificate,
        ).strip()
        # Started by root its workers are nobody, who may not write into pytest's folders.
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            CONFIGURATION.format(folder=self.folder, user=user)
        )
        self._configure(down=None)
        return [
            find_program("nginx", "nginx"),
            "-p",
            self.folder,
            "-c",
            "nginx.conf",
            "-e",
            "stderr",
        ]

    def take_out(self, upstream: int | None) -> None:
        """Mark one upstream as down (or none) and reload; return when the workers that did not know have ended."""
        assert self.process
        before = self._workers()
        self._configure(down=upstream)
        self.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: (now := self._workers()) and not before & now,
            30,
            "nginx's workers are new ones",
        )

    def _configure(self, down: int | None) -> None:
        """Write the project's file with these ports in the place of its own."""
        servers = [
            f"server {HOST}:{port}{' down' if port == down else ''};"
            for port in self.upstreams
        ]
        text = (self.project / "deploy" / "nginx" / "default.conf").read_text()
        for old, new in {
            "server app:8000;": " ".join(servers),
            "listen 80;": self._listen,
        }.items():
            assert text.count(old) == 1, (
                f"default.conf has {old!r} {text.count(old)} times"
            )
            text = text.replace(old, new)
        (self.folder / "default.conf").write_text(text)

    def _workers(self) -> set[str]:
        assert self.process
        return set(
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            .read_text()
            .split()
        )
