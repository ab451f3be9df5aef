"""Requests a second, and what processes take of the machine."""

import contextlib
import http.client
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bakery import run
from tests.services.process import find_program

HOST = "shop.test"
# As their proxy sends them.
HEADERS = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
CONNECTIONS = 8


@dataclass
class Sample:
    """A cost, in its figure's unit; under load that of a request, with the requests answered a second."""

    cost: float
    speed: float = 0


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/bench/json/", headers=HEADERS)
        return connection.getresponse().status == 200
    return False


def load(master: int, port: int, path: str, seconds: float) -> Sample:
    """Ask a server for a path, as fast as it answers; the cost is its CPU time for a request, in µs.

    Ask for twice as long where the time is too short for a single answer. Raises RuntimeError unless all are 200.
    """
    headers = [f"--header={name}: {value}" for name, value in HEADERS.items()]
    options = [
        "--threads=1",
        f"--connections={CONNECTIONS}",
        "--duration=60s",
        *headers,
    ]
    before = cpu_s(master)
    command = [find_program("wrk", "wrk"), *options, f"http://127.0.0.1:{port}{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        time.sleep(seconds)
        wrk.send_signal(signal.SIGINT)  # its own durations are whole seconds
        output = wrk.stdout.read()
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{path}: not every answer was a 200\n{output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    if not requests:
        return load(master, port, path, 2 * seconds)
    speed = float(re.search(r"^Requests/sec: +([\d.]+)$", output, re.MULTILINE)[1])
    return Sample((cpu_s(master) - before) / requests * 1e6, speed)


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used with its children, those that have ended included."""
    process = psutil.Process(pid)
    used = sum(
        process.cpu_times()[:4]
    )  # its own and that of the children that it has waited for
    for child in process.children():
        with contextlib.suppress(
            psutil.NoSuchProcess
        ):  # ended just now: from here on it counts as its parent's
            used += sum(child.cpu_times()[:2])
    return used


def memory_mib(pid: int) -> float:
    """The memory of a server for each of its workers, with its part of what it shares with other processes (PSS)."""
    master = psutil.Process(pid)
    workers = master.children()
    return (
        sum(process.memory_full_info().pss for process in (master, *workers))
        / len(workers)
        / 2**20
    )


def command_cpu_s(*command: str | Path, cwd: Path) -> float:
    """The CPU time of a command and of what it starts."""
    before = psutil.Process().cpu_times()
    run(*command, cwd=cwd, env={"HOME": str(cwd)})
    after = psutil.Process().cpu_times()
    return sum(after[2:4]) - sum(before[2:4])
