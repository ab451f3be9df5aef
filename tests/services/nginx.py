"""nginx, the open-source version, with the project's own default.conf."""

import getpass
import os
import signal
from pathlib import Path

from tests.services.certificate import Certificate
from tests.services.process import HOST, find_program, wait_until
from tests.services.proxy import SITE, Proxy

# The image's own nginx.conf, with other folders.
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
{user}

events {{
    worker_connections 1024;
}}

http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
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
    """nginx does not check health: `take_out` marks an instance as down."""

    stop_signal = signal.SIGQUIT

    def command(self) -> list[str | Path]:
        certificate = Certificate(self.folder, SITE)
        self._listen = LISTEN.format(
            host=HOST,
            plain_port=self.plain_port,
            port=self.port,
            certificate=certificate,
        ).strip()
        # As root, nginx runs workers as nobody, who may not write to pytest's folders.
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            CONFIGURATION.format(folder=self.folder, user=user)
        )
        self._configure(down=None)
        program = find_program("nginx", "nginx")
        return [program, "-p", self.folder, "-c", "nginx.conf", "-e", "stderr"]

    def take_out(self, upstream: int | None) -> None:
        """Mark one upstream (or none) as down, reload, and wait for new workers."""
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
        """Write the project's file with the ports of the test."""
        servers = [
            f"server {HOST}:{port}{' down' if port == down else ''};"
            for port in self.upstreams
        ]
        text = (self.project / "deploy" / "nginx" / "default.conf").read_text()
        changes = {"server app:8000;": " ".join(servers), "listen 80;": self._listen}
        for old, new in changes.items():
            count = text.count(old)
            assert count == 1, f"default.conf has {old!r} {count} times"
            text = text.replace(old, new)
        media = f"{self.project / 'data' / 'media'}/"
        text = text.replace("/srv/data/media/", media)
        (self.folder / "default.conf").write_text(text)

    def _workers(self) -> set[str]:
        assert self.process
        pid = self.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
