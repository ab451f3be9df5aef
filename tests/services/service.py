"""What every service has in common: a folder, a port that stays the same, and an end."""

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
    """Something that listens on one loopback port, and on the same one after `stop()` and `start()`."""

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
        """Return when it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Return when it is gone; do nothing if it is."""


class Server(Service):
    """A service that is a program of its own."""

    stop_signal = signal.SIGTERM
    user: str | None = None  # whom it runs as; None for whoever runs the tests
    process: Process | None = None

    @abstractmethod
    def command(self) -> list[str | Path]:
        """Return what to run; raise NotInstalledError if it is missing."""

    def ready(self) -> bool:
        return accepts(self.port)

    def start(self) -> None:
        if self.process and self.process.running:
            return
        self.stop()  # what a crash may have left
        self.process = Process(
            self.command(),
            self.folder,
            name=type(self).__name__.lower(),
            user=self.user,
            stop_signal=self.stop_signal,
        )
        try:
            self.process.wait_for(
                self.ready, 30, f"{type(self).__name__} answers on port {self.port}"
            )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None


class DatabaseServer(Server):
    """A server that keeps data: made before its first start, kept over restarts, removed on leaving the context."""

    users: tuple[str, ...] = ()  # whom its package runs it as

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
        """The folder that `user` owns. Not in `folder` for another user than this one: pytest's folders are 0700."""
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
        """Make the role that the URLs name; called once, when the server answers."""

    def _remove_home(self) -> None:
        if self._home:
            self._home.cleanup()
            self._home = None
