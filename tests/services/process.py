"""Start programs, wait for conditions, and leave no program behind.

The programs end even when the tests are killed.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
PAUSE = 0.02  # seconds between two checks of a condition
# Below the ephemeral ports of Linux (from 32768) and macOS (from 49152): an outgoing
# connection must not take the port of a server that a test restarts.
PORTS = range(20000, 32768)
# Reads a pipe from the tests. A line means that the process has stopped. End of file
# means that the tests are gone: send the process its signal, give it 3 s, and kill its
# process group.
GUARD = """
read line && exit
kill -s "$1" "$2"
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -0 "$2" && sleep 0.2; done
kill -s KILL -- "-$2"
"""

_given_ports: set[int] = set()


class NotInstalledError(RuntimeError):
    """A program or package is missing; the message says how to install it."""


def free_port() -> int:
    """Return a TCP port that is free on loopback and was not returned before."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind((HOST, port))
            if port not in _given_ports:
                _given_ports.add(port)
                return port


def accepts(port: int) -> bool:
    """Tell whether something on loopback accepts connections on this port."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((HOST, port), timeout=1),
    ):
        return True
    return False


def find_program(name: str, apt: str) -> str:
    """Return the path of a program; Debian keeps daemons off the PATH of a user."""
    folders = [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        raise NotInstalledError(f"{name} is not installed: apt-get install {apt}")
    return path


def find_package(name: str, pip: str) -> Path:
    """Return the folder of a Python package without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise NotInstalledError(f"{name} is not installed: pip install '{pip}'")
    return Path(spec.origin).parent


def unprivileged_user(*names: str) -> str | None:
    """Return the first of these users that exists; None unless root runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in (*names, "nobody") if name in known)


def as_user(name: str | None) -> dict:
    """Return the arguments with which subprocess runs a program as this user."""
    if not name:
        return {}
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def run(command: Sequence[str | Path], **options) -> str:
    """Run a command and return its output; if it fails, raise an error with it."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        **{"stdin": subprocess.DEVNULL} | options,
    )
    if done.returncode:
        name = Path(command[0]).name
        output = done.stdout + done.stderr
        raise RuntimeError(f"{name} ended with {done.returncode}:\n{output}")
    return done.stdout


def wait_until(predicate: Callable[[], object], timeout: float, what: str) -> None:
    """Wait until the predicate is true; raise TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(PAUSE)


class Process:
    """A running command with its own folder, log file and process group.

    As a context manager it stops the command at the end.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name or Path(command[0]).name
        self.stop_signal = stop_signal
        folder.mkdir(parents=True, exist_ok=True)
        self.log_file = folder / f"{self.name}.log"
        with self.log_file.open("ab") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_user(user),
            )
        signal_name = stop_signal.name.removeprefix("SIG")
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", signal_name, str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self.returncode is None

    @property
    def returncode(self) -> int | None:
        """Return the exit status, negative for a signal; None while it runs."""
        if self._popen.returncode is not None:
            return self._popen.returncode
        # Check without reaping: stop() needs the id to kill the process group.
        end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_for(
        self, predicate: Callable[[], object], timeout: float, what: str
    ) -> None:
        """Wait for a condition; if it fails, raise an error with the log."""
        try:
            wait_until(lambda: not self.running or predicate(), timeout, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self._log_tail()}") from None
        if not self.running:
            end = f"{self.name} ended with {self.returncode}"
            raise RuntimeError(f"{what}: {end}\n{self._log_tail()}")

    def wait(self, timeout: float) -> int | None:
        """Wait for the process to end by itself and return its exit status."""
        wait_until(lambda: not self.running, timeout, f"{self.name} ends")
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, not to its children."""
        if self._popen.returncode is None:
            os.kill(self.pid, number)

    def stop(self, timeout: float = 10) -> None:
        """Ask it to stop; after its end, or `timeout` seconds, kill its group."""
        if self._popen.returncode is not None:
            return
        self.send_signal(self.stop_signal)
        self.send_signal(signal.SIGCONT)  # a test may have paused it
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.running, timeout, f"{self.name} ends")
        # macOS raises PermissionError where no process is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._guard.communicate(b"\n")

    def _log_tail(self) -> str:
        return f"--- {self.log_file}\n" + "\n".join(self.log.splitlines()[-50:])
