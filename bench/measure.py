"""Requests a second, and what processes take of the machine."""

import contextlib
import http.client
import os
import re
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bakery import clean_environment
from tests.services.process import find_program, run

HOST = "shop.test"
# As their proxy sends them.
HEADERS = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
CONNECTIONS = 16
TICKS = os.sysconf("SC_CLK_TCK")  # a second of CPU time in /proc


@dataclass
class Sample:
    """What is compared: requests a second, with the server's CPU time for each, or a cost alone."""

    value: float
    cpu_s: float | None = None


def ask(port: int, path: str) -> int:
    """The status of the answer; raises OSError while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers=HEADERS)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def answers(port: int) -> bool:
    try:
        return ask(port, "/bench/json/") == 200
    except OSError:
        return False


def load(master: int, port: int, path: str) -> Sample:
    """Ask a server for a path for a second, as fast as it is answered.

    Raises RuntimeError unless all are answered with 200.
    """
    headers = [f"--header={name}: {value}" for name, value in HEADERS.items()]
    options = ["--threads=1", f"--connections={CONNECTIONS}", "--duration=1s", *headers]
    before = cpu_seconds(master)
    output = run([find_program("wrk", "wrk"), *options, f"http://127.0.0.1:{port}{path}"])
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{path}: not every answer was a 200\n{output}")
    counted = re.search(r"(\d+) requests in ([\d.]+)s", output)
    requests, seconds = int(counted[1]), float(counted[2])
    return Sample(requests / seconds, (cpu_seconds(master) - before) / requests)


def workers(master: int) -> list[int]:
    """The ids of the processes that a server has forked."""
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def cpu_seconds(master: int) -> float:
    """The CPU time that a server has used, its workers of now and those that have ended included."""
    ticks = 0
    for pid in workers(master):
        with contextlib.suppress(FileNotFoundError):  # ended just now: its time is the master's from here on
            ticks += sum(cpu_ticks(pid)[:2])
    return (ticks + sum(cpu_ticks(master))) / TICKS


def cpu_ticks(pid: int) -> list[int]:
    """utime, stime, cutime and cstime of proc(5), which follow the name in brackets."""
    return [int(field) for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]


def memory_mib(pids: list[int]) -> float:
    """The mean memory of the processes, with their part of what they share (PSS)."""
    sizes = [re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1] for pid in pids]
    return sum(map(int, sizes)) / len(sizes) / 1024


def command_cpu_seconds(*command: str | Path, cwd: Path) -> float:
    """The CPU time of a command and of what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = clean_environment() | {"HOME": str(cwd)}
    subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
