"""Instances of a project as production starts them, and load on them."""

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bakery import Project, clean_environment
from tests.services import Process, free_port, wait_until
from tests.services.proxy import ANY_CERTIFICATE
from tests.serving import Answer, Server

PUBLIC = {"Host": "shop.test", "X-Forwarded-Proto": "https"}


class Instance:
    """`python -m config.serve` with its own port and drain file."""

    def __init__(
        self,
        project: Project,
        env: dict[str, str],
        folder: Path,
        *,
        workers: int = 2,
        by_default: bool = False,  # expect these workers, but do not ask for them
    ) -> None:
        self.project = project
        self.folder = folder
        self.count = workers
        self.port = free_port()
        self.drain_file = folder / "draining"
        self.env = clean_environment()
        self.env["PYTHONWARNINGS"] = "error::DeprecationWarning"
        if not by_default:
            self.env["WEB_CONCURRENCY"] = str(self.count)
        self.env |= env
        self.env |= {"HOST": "127.0.0.1", "PORT": str(self.port)}
        self.env["DRAIN_FILE"] = str(self.drain_file)
        self.process: Process | None = None

    def start(self) -> None:
        """Start the server; return when every worker answers."""
        python = self.project.path / ".venv" / "bin" / "python"
        # The process runs in the folder of the project and logs to its own folder.
        command = ["env", f"--chdir={self.project.path}", python, "-m", "config.serve"]
        self.process = Process(command, self.folder, name="server", env=self.env)
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
        """Send SIGTERM to the server, as an orchestrator does; return its status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        self.process.stop()
        return status

    def kill(self) -> None:
        """Stop the server and its workers, whatever state they are in."""
        if self.process:
            self.process.stop()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return the log since the first start; each line must be a JSON object."""
        assert self.process
        return [json.loads(line) for line in self.process.log.splitlines()]

    @property
    def requests(self) -> int:
        """Return the number of requests since the first start, without probes."""
        assert self.process
        return self.process.log.count('"logger": "access"')

    @property
    def workers(self) -> list[int]:
        """Return the ids of the worker processes."""
        assert self.process
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    def memory_mib(self) -> float:
        """Return the memory of all processes in MiB; shared pages count once (PSS)."""
        assert self.process
        kib = 0
        for pid in [self.process.pid, *self.workers]:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            pss = next(line for line in rollup if line.startswith("Pss:"))
            kib += int(pss.split()[1])
        return kib / 1024


@dataclass
class Load:
    """Clients that request a path again and again until the block ends.

    A failure is a status above 499, a broken connection, or no answer within 10 s.
    """

    port: int
    path: str
    clients: int = 8
    pause: float = 0.0  # seconds between an answer and the next request of a client
    body: bytes | None = None  # sent with POST
    keeps_connections: bool = True
    tls: bool = False  # for a proxy
    # Makes the connections, if they are not to `port` on loopback.
    connect: Callable[[], http.client.HTTPConnection] | None = None
    answers: Counter[int] = field(default_factory=Counter)
    # When (time.monotonic), and what.
    failures: list[tuple[float, str]] = field(default_factory=list)

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
        unanswered = [kind for _, kind in self.failures if kind.startswith("no answer")]
        return sum(self.answers.values()) + len(unanswered)

    def wait_for(self, requests: int, timeout: float = 60) -> None:
        """Wait until this many more requests have been answered."""
        goal = sum(self.answers.values()) + requests
        what = f"{requests} answers under load"
        wait_until(lambda: sum(self.answers.values()) >= goal, timeout, what)

    def failures_since(self, moment: float) -> list[tuple[float, str]]:
        return [failure for failure in self.failures if failure[0] >= moment]

    def _ask(self) -> None:
        connection = self.connect() if self.connect else client(self.port, tls=self.tls)
        while not self._over.is_set():
            started = time.monotonic()
            try:
                method = "GET" if self.body is None else "POST"
                connection.request(method, self.path, self.body, headers=PUBLIC)
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
    """Return a connection to an instance, or over TLS to a proxy."""
    if tls:
        return http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=timeout, context=ANY_CERTIFICATE
        )
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)


def descendants(pid: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        found for child in children for found in (int(child), *descendants(int(child)))
    ]


def kill(pid: int) -> None:
    """Send SIGKILL, as the kernel does when memory runs out."""
    os.kill(pid, signal.SIGKILL)
