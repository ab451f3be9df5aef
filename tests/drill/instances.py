"""Instances of a project as production starts them, and the load that they are under."""

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bakery import Project, clean_environment
from tests.services import Process, free_port, wait_until
from tests.services.proxy import ANY_CERTIFICATE
from tests.serving import Answer, Server

PUBLIC = {"Host": "shop.test", "X-Forwarded-Proto": "https"}


class Instance:
    """`python -m config.serve` with a port and a drain file of its own."""

    def __init__(
        self, project: Project, env: dict[str, str], folder: Path, *, workers: int = 2
    ) -> None:
        self.project = project
        self.folder = folder
        self.count = workers
        self.port = free_port()
        self.drain_file = folder / "draining"
        self.env = (
            clean_environment()
            | {
                "PYTHONWARNINGS": "error::DeprecationWarning",
                "WEB_CONCURRENCY": str(self.count),
            }
            | env
            | {
                "HOST": "127.0.0.1",
                "PORT": str(self.port),
                "DRAIN_FILE": str(self.drain_file),
            }
        )
        self.process: Process | None = None

    def start(self) -> None:
        """Return when every worker answers."""
        self.drain_file.unlink(missing_ok=True)
        command = [self.project.path / ".venv" / "bin" / "python", "-m", "config.serve"]
        # The folder of the process is the project's, that of its log the instance's.
        self.process = Process(
            ["env", f"--chdir={self.project.path}", *command],
            self.folder,
            name="server",
            env=self.env,
        )
        self.server = Server(self.process, self.port)
        self.process.wait_for(
            lambda: len(self.workers) == self.count, 30, "the workers to start"
        )
        self.process.wait_for(self.server.is_live, 30, "the instance to answer")

    def get(self, path: str, **headers: str) -> Answer:
        return self.server.get(path, **headers)

    def is_ready(self) -> bool:
        return self.get("/health/ready/").status == 200

    def stop(self, timeout: float = 40) -> int | None:
        """SIGTERM to the server's own process, as an orchestrator sends it; its exit status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        self.process.stop()
        return status

    def kill(self) -> None:
        """Leave nothing behind, after whatever has happened."""
        if self.process:
            self.process.stop()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has written since its first start: one JSON object a line, or the test fails here."""
        assert self.process
        return [json.loads(line) for line in self.process.log.splitlines()]

    @property
    def requests(self) -> int:
        """How many it has answered since its first start, without probes."""
        assert self.process
        return self.process.log.count('"logger": "access"')

    @property
    def workers(self) -> list[int]:
        """The ids of the worker processes."""
        assert self.process
        children = Path(
            f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        ).read_text()
        return [int(pid) for pid in children.split()]

    def memory_mib(self) -> float:
        """What all of its processes take in MiB, shared pages counted once (PSS)."""
        assert self.process
        kib = 0
        for pid in [self.process.pid, *self.workers]:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += int(
                next(
                    line for line in rollup.splitlines() if line.startswith("Pss:")
                ).split()[1]
            )
        return kib / 1024


@dataclass
class Load:
    """Clients that ask for a path one time after the other, over connections that they keep, until the block ends.

    A failure is a status above 499, a connection that breaks, or no answer within ten seconds.
    """

    port: int
    path: str
    clients: int = 8
    pause: float = 0.0  # seconds between an answer and the next request of a client
    body: bytes | None = None  # sent with POST
    keeps_connections: bool = True
    tls: bool = False  # which a proxy speaks
    answers: Counter[int] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(
        default_factory=list
    )  # when (time.monotonic), and what

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, daemon=True) for _ in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def requests(self) -> int:
        return sum(self.answers.values()) + sum(
            kind.startswith("no answer") for _, kind in self.failures
        )

    def wait_for(self, requests: int, timeout: float = 60) -> None:
        """Return when so many more requests have been answered."""
        goal = sum(self.answers.values()) + requests
        wait_until(
            lambda: sum(self.answers.values()) >= goal,
            timeout,
            f"{requests} answers under load",
        )

    def failures_since(self, moment: float) -> list[tuple[float, str]]:
        return [failure for failure in self.failures if failure[0] >= moment]

    def _ask(self) -> None:
        connection = client(self.port, tls=self.tls)
        while not self._over.is_set():
            started = time.monotonic()
            try:
                connection.request(
                    "GET" if self.body is None else "POST",
                    self.path,
                    self.body,
                    headers=PUBLIC,
                )
                response = connection.getresponse()
                response.read()
                if not self.keeps_connections:
                    connection.close()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.failures.append((started, f"no answer: {error!r}"))
                self._over.wait(0.01)
                continue
            self.answers[response.status] += 1
            if response.status > 499:
                self.failures.append((started, f"status {response.status}"))
            self._over.wait(self.pause)
        connection.close()


def client(
    port: int, *, tls: bool = False, timeout: float = 10
) -> http.client.HTTPConnection:
    """A client of an instance, or of a proxy, which speaks TLS."""
    if tls:
        return http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=timeout, context=ANY_CERTIFICATE
        )
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)


def descendants(pid: int) -> list[int]:
    """The ids of a process's children and their children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        found for child in children for found in (int(child), *descendants(int(child)))
    ]


def kill(pid: int) -> None:
    """SIGKILL: what the kernel does to a process when memory runs out."""
    os.kill(pid, signal.SIGKILL)
