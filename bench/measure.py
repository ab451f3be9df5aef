"""Measure requests per second, CPU time and memory."""

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
# As a proxy sends them.
HEADERS = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
CONNECTIONS = 8


@dataclass
class Sample:
    """A cost in the unit of its figure; under load, the cost of a request."""

    cost: float
    speed: float = 0  # requests/s under load


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/bench/json/", headers=HEADERS)
        return connection.getresponse().status == 200
    return False


def load(master: int, port: int, path: str, seconds: float) -> Sample:
    """Request a path as fast as the server answers; the cost is CPU time, in µs.

    Double the time if it is too short for one answer. Raise RuntimeError unless every
    answer is a 200.
    """
    options = ["--threads=1", f"--connections={CONNECTIONS}", "--duration=60s"]
    options += [f"--header={name}: {value}" for name, value in HEADERS.items()]
    before = cpu_s(master)
    command = [find_program("wrk", "wrk"), *options, f"http://127.0.0.1:{port}{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        time.sleep(seconds)
        wrk.send_signal(signal.SIGINT)  # wrk's durations are whole seconds
        output = wrk.stdout.read()
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{path}: not every answer was a 200\n{output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    if not requests:
        return load(master, port, path, 2 * seconds)
    speed = float(re.search(r"^Requests/sec: +([\d.]+)$", output, re.MULTILINE)[1])
    return Sample((cpu_s(master) - before) / requests * 1e6, speed)


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and its children, those that ended included."""
    process = psutil.Process(pid)
    used = sum(process.cpu_times()[:4])  # its own and that of children that ended
    for child in process.children():
        # A child that has just ended now counts as its parent's.
        with contextlib.suppress(psutil.NoSuchProcess):
            used += sum(child.cpu_times()[:2])
    return used


def memory_mib(pid: int) -> float:
    """Return the memory of a server per worker; processes split shared pages (PSS)."""
    master = psutil.Process(pid)
    workers = master.children()
    used = sum(process.memory_full_info().pss for process in (master, *workers))
    return used / len(workers) / 2**20


def command_cpu_s(*command: str | Path, cwd: Path) -> float:
    """Return the CPU time of a command and its children."""
    before = psutil.Process().cpu_times()
    run(*command, cwd=cwd, env={"HOME": str(cwd)})
    after = psutil.Process().cpu_times()
    return sum(after[2:4]) - sum(before[2:4])
