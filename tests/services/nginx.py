"""nginx, the open-source one, as the balancer in front of several instances."""

import signal
from pathlib import Path

from tests.services.process import HOST, find_program, wait_until
from tests.services.service import Server

CONFIGURATION = """
daemon off;
worker_processes 1;
error_log stderr warn;
pid {folder}/nginx.pid;

events {{
    worker_connections 512;
}}

http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    upstream instances {{
{servers}
        keepalive 16;
    }}

    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://instances;
            proxy_http_version 1.1;
            proxy_next_upstream {next_upstream};
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
}}
"""


class Nginx(Server):
    """HTTP on loopback, shared out among ports. It asks nobody for health: whom it leaves out, it is told."""

    stop_signal = signal.SIGQUIT

    def __init__(self, folder: Path, *upstreams: int, tries_another: bool = True) -> None:
        super().__init__(folder)
        self.upstreams = upstreams
        self.tries_another = tries_another

    def command(self) -> list[str | Path]:
        self._configure(down=None)
        return [find_program("nginx", "nginx"), "-p", self.folder, "-c", self.file, "-e", "stderr"]

    @property
    def file(self) -> Path:
        return self.folder / "nginx.conf"

    def take_out(self, upstream: int | None) -> None:
        """Mark one upstream as down (or none) and reload; return when the workers that did not know have ended."""
        assert self.process
        before = self._workers()
        self._configure(down=upstream)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (now := self._workers()) and not before & now, 30, "nginx's workers are new ones")

    def _configure(self, down: int | None) -> None:
        # Who is not to try another one is not to remember which one has failed, either.
        options = {
            port: " down" if port == down else "" if self.tries_another else " max_fails=0" for port in self.upstreams
        }
        servers = [f"        server {HOST}:{port}{option};" for port, option in options.items()]
        next_upstream = "error timeout" if self.tries_another else "off"
        self.file.write_text(
            CONFIGURATION.format(
                folder=self.folder, host=HOST, port=self.port, servers="\n".join(servers), next_upstream=next_upstream
            )
        )

    def _workers(self) -> set[str]:
        assert self.process
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())
