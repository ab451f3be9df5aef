"""Base classes of the services: a folder, a fixed port, a start and a stop."""

import itertools
import secrets
import shutil
import signal
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from tests.services.process import Process, accepts, free_port, unprivileged_user


class Service(ABC):
    """A service on one loopback port, which stays the same after a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    @abstractmethod
    def start(self) -> None:
        """Start the service; return when it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the service; return when it is gone."""


class Server(Service):
    """A service that runs as a program."""

    stop_signal = signal.SIGTERM
    user: str | None = None  # of the program; None for the user of the tests
    process: Process | None = None

    @abstractmethod
    def command(self) -> list[str | Path]:
        """Return the command; raise NotInstalledError if the program is missing."""

    def ready(self) -> bool:
        return accepts(self.port)

    def start(self) -> None:
        if self.process and self.process.running:
            return
        self.stop()  # remove what a crash has left
        name = type(self).__name__
        self.process = Process(
            self.command(),
            self.folder,
            name=name.lower(),
            user=self.user,
            stop_signal=self.stop_signal,
        )
        try:
            self.process.wait_for(self.ready, 30, f"{name} answers on port {self.port}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None


class DatabaseServer(Server):
    """A server with a data folder, made at the first start and kept over restarts."""

    users: tuple[str, ...] = ()  # that the package makes for the program

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.user = unprivileged_user(*self.users)
        self.password = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._home: tempfile.TemporaryDirectory[str] | None = None

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._remove_home()

    @property
    def home(self) -> Path:
        """Return a folder that `user` owns; pytest's folders are closed to others."""
        if self._home is None:
            parent = None if self.user else self.folder
            self._home = tempfile.TemporaryDirectory(
                prefix="data-", dir=parent, ignore_cleanup_errors=True
            )
            if self.user:
                shutil.chown(self._home.name, self.user)
        return Path(self._home.name)

    @property
    def data(self) -> Path:
        return self.home / "data"

    def start(self) -> None:
        if self.data.exists():
            super().start()
            return
        try:
            self.install()
            super().start()
            self.set_up()
        except BaseException:
            self.stop()
            self._remove_home()
            raise

    @abstractmethod
    def install(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def set_up(self) -> None:
        """Make the role in the URLs; called once, when the server answers."""

    def _remove_home(self) -> None:
        if self._home:
            self._home.cleanup()
            self._home = None
