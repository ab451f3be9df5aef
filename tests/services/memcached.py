"""memcached, a cache without persistence."""

import signal
from pathlib import Path

from tests.services.process import HOST, find_program, unprivileged_user
from tests.services.service import Server


class Memcached(Server):
    """memcached over TCP."""

    stop_signal = signal.SIGKILL  # nothing to save, and SIGTERM takes 1 s

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.user = unprivileged_user("memcache")  # memcached refuses to run as root

    @property
    def location(self) -> str:
        return f"{HOST}:{self.port}"

    def command(self) -> list[str | Path]:
        program = find_program("memcached", "memcached")
        return [program, "-l", HOST, "-p", str(self.port), "-U", "0"]
