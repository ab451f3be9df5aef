"""Redis without persistence: a restart loses everything, as a cache must bear."""

from pathlib import Path

from tests.services.process import HOST, find_program
from tests.services.service import Server


class Redis(Server):
    """Redis, with a password if one is given."""

    def __init__(self, folder: Path, password: str = "") -> None:
        super().__init__(folder)
        self.password = password

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}{HOST}:{self.port}/0"

    def command(self) -> list[str | Path]:
        program = find_program("redis-server", "redis-server")
        options = ["--bind", HOST, "--port", str(self.port), "--save", "", "--appendonly", "no"]
        return [program, *options, *(["--requirepass", self.password] if self.password else [])]
