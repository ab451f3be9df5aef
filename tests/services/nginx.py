"""nginx, the open-source version, with the project's own nginx.conf."""

import getpass
import os
import signal
from pathlib import Path

from tests.services.certificate import Certificate
from tests.services.process import HOST, find_program, wait_until
from tests.services.proxy import SITE, Proxy

# What belongs to the container, in the project's file, and what the tests have instead.
CHANGES = {
    "pid /tmp/nginx.pid;": "pid {folder}/nginx.pid; daemon off; {user}",
    "worker_processes auto;": "worker_processes 1;",
    "include mime.types;": "include /etc/nginx/mime.types; {upstream}",
    "/srv/bodies/client": "{folder}/bodies",
    "/srv/bodies/proxy": "{folder}/answers",
    "/tmp/fastcgi": "{folder}/fastcgi",
    "/tmp/uwsgi": "{folder}/uwsgi",
    "/tmp/scgi": "{folder}/scgi",
    "/srv/certificates/live/site": "{folder}",
    "listen 80;": "listen {host}:{plain_port};",
    "listen 443 ssl http2;": "listen {host}:{port} ssl http2;",
    "root /srv;": "root {project}/data;",
    "proxy_pass http://$app:8000;": "proxy_pass http://app;",
}


class Nginx(Proxy):
    """nginx does not check health: `take_out` marks an instance as down."""

    stop_signal = signal.SIGQUIT

    def command(self) -> list[str | Path]:
        certificate = Certificate(self.folder, SITE)
        certificate.file.rename(self.folder / "fullchain.pem")
        certificate.key.rename(self.folder / "privkey.pem")
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
        text = (self.project / "deploy" / "nginx" / "nginx.conf").read_text()
        values = {
            "folder": self.folder,
            "host": HOST,
            "plain_port": self.plain_port,
            "port": self.port,
            "project": self.project,
            "upstream": "upstream app { " + " ".join(servers) + " }",
            # As root, nginx runs workers as nobody, who may not write to the folder.
            "user": f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
        }
        for old, new in CHANGES.items():
            count = text.count(old)
            assert count == 1, f"nginx.conf has {old!r} {count} times"
            text = text.replace(old, new.format(**values))
        text = text.replace("/srv/pages", str(self.project / "deploy" / "pages"))
        (self.folder / "nginx.conf").write_text(text)

    def _workers(self) -> set[str]:
        assert self.process
        pid = self.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
