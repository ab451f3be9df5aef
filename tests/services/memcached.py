"""memcached, the cache that keeps no promise at all."""

import signal
from pathlib import Path

from tests.services.process import HOST, find_program, unprivileged_user
from tests.services.service import Server


class Memcached(Server):
    """memcached over TCP."""

    stop_signal = (
        signal.SIGKILL
    )  # there is nothing to save, and asked politely it takes 1 s

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.user = unprivileged_user("memcache")  # it refuses to run as root

    @property
    def location(self) -> str:
        return f"{HOST}:{self.port}"

    def command(self) -> list[str | Path]:
        return [
            find_program("memcached", "memcached"),
            "-l",
            HOST,
            "-p",
            str(self.port),
            "-U",
            "0",
        ]
