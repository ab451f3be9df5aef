"""The figures of the table, each a pair of measurements."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Sample, command_cpu_seconds, cpu_seconds, load, memory_mib, workers
from bench.projects import Instance
from tests.bakery import TEMPLATE
from tests.services import free_port


@dataclass
class Figure:
    """A row of the table: what is measured of ours and of theirs, the ratios of each round, and what is wanted."""

    name: str
    wanted: str  # such as "≥ 0.80"; empty where the figure is only told
    ours: Callable[[], Sample]
    theirs: Callable[[], Sample]
    pairs: int = 1  # in a round
    ratios: list[float] = field(default_factory=list)
    cpu_ratios: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """A round; who was first in one pair comes second in the next."""
        for _ in range(self.pairs):
            if len(self.ratios) % 2:
                theirs, ours = self.theirs(), self.ours()
            else:
                ours, theirs = self.ours(), self.theirs()
            self.ratios.append(ours.value / theirs.value)
            if ours.cpu_s and theirs.cpu_s:
                self.cpu_ratios.append(theirs.cpu_s / ours.cpu_s)

    def holds(self) -> str:
        if not self.wanted:
            return ""
        sign, limit = self.wanted.split()
        ratio = statistics.median(self.ratios)
        return "yes" if (ratio >= float(limit) if sign == "≥" else ratio <= float(limit)) else "no"

    def row(self) -> str:
        return f"| {self.name} | {self.wanted} | {spread(self.ratios)} | {spread(self.cpu_ratios)} | {self.holds()} |"


def spread(ratios: list[float]) -> str:
    if not ratios:
        return ""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def figures(served: dict[tuple[str, str], Instance], pairs: int) -> list[Figure]:
    """Every figure, in the order in which a round measures them, with so many pairs of loads."""

    def loads(name: str, wanted: str, interface: str, path: str, ours: str = "ours", theirs: str = "bare") -> Figure:
        one, other = served[interface, ours], served[interface, theirs]
        return Figure(name, wanted, lambda: under_load(one, path), lambda: under_load(other, path), pairs)

    def costs(name: str, wanted: str, interface: str, cost: Callable[[Instance], float]) -> Figure:
        ours, bare = served[interface, "ours"], served[interface, "bare"]
        return Figure(name, wanted, lambda: Sample(cost(ours)), lambda: Sample(cost(bare)))

    def probe(name: str, interface: str, path: str) -> Figure:
        def cpu(path: str) -> Sample:
            return Sample(under_load(served[interface, "ours"], path).cpu_s)

        return Figure(name, "≤ 0.5", lambda: cpu("/health/ready/"), lambda: cpu(path), pairs)

    def under_load(instance: Instance, path: str) -> Sample:
        return load(instance.pid, instance.port, path or instance.static_path)

    python = Path(served["wsgi", "bare"].command[0])
    dsn = {"ours": "ours-sentry"}
    whitenoise = {"theirs": "bare-whitenoise"}
    return [
        loads("JSON view, WSGI, no DSN", "≥ 0.80", "wsgi", "/bench/json/"),
        loads("JSON view, WSGI, DSN set, traces 0.1", "≥ 0.60", "wsgi", "/bench/json/", **dsn),
        loads("JSON view, ASGI", "≥ 1.0", "asgi", "/bench/json-async/"),
        loads("JSON view, ASGI, DSN set, traces 0.1", "", "asgi", "/bench/json-async/", **dsn),
        loads("JSON view that is no coroutine, ASGI", "", "asgi", "/bench/json/"),
        loads("one-row database view, WSGI", "≥ 0.90", "wsgi", "/bench/row/"),
        loads("one-row database view, ASGI", "≥ 2.0", "asgi", "/bench/row-async/"),
        loads("streaming view, WSGI", "", "wsgi", "/bench/stream/"),
        loads("streaming view, ASGI", "", "asgi", "/bench/stream-async/"),
        loads("static file, WSGI", "≥ 0.90", "wsgi", "", **whitenoise),
        loads("static file, ASGI", "≥ 2.0", "asgi", "", **whitenoise),
        costs("memory (PSS) a worker, WSGI", "≤ 1.25", "wsgi", worker_memory),
        costs("memory (PSS) a worker, ASGI", "≤ 1.25", "asgi", worker_memory),
        costs("CPU to the first 200, WSGI", "≤ 1.4", "wsgi", start_cpu_s),
        costs("CPU to the first 200, ASGI", "≤ 1.4", "asgi", start_cpu_s),
        Figure("bake against startproject, CPU", "≤ 3.0", bake, lambda: start_project(python)),
        probe("readiness probe against JSON view, CPU, WSGI", "wsgi", "/bench/json/"),
        probe("readiness probe against JSON view, CPU, ASGI", "asgi", "/bench/json-async/"),
    ]


def worker_memory(instance: Instance) -> float:
    """In MiB, of workers that have just answered their first requests: older ones may have been replaced."""
    with started(instance) as another:
        another.warm_up()
        return memory_mib(workers(another.pid))


def start_cpu_s(instance: Instance) -> float:
    """What a start takes, until one of the workers has answered."""
    with started(instance) as another:
        return cpu_seconds(another.pid)


@contextmanager
def started(instance: Instance) -> Iterator[Instance]:
    """Another instance of the same project, which has answered once."""
    another = replace(instance, name="another", port=free_port())
    another.start()
    try:
        yield another
    finally:
        another.stop()


def bake() -> Sample:
    with TemporaryDirectory() as folder:
        return Sample(command_cpu_seconds("cookiecutter", TEMPLATE, "--no-input", cwd=Path(folder)))


def start_project(python: Path) -> Sample:
    with TemporaryDirectory() as folder:
        return Sample(command_cpu_seconds(python, "-m", "django", "startproject", "bare", cwd=Path(folder)))
