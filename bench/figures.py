"""The figures of the table, each a pair of measurements."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import attrgetter, ge, le
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Sample, command_cpu_s, cpu_s, load, memory_mib
from bench.projects import Instance
from tests.bakery import TEMPLATE
from tests.services import free_port


@dataclass
class Figure:
    """A row of the table: what is measured of ours and of what it is compared with, and the ratio that is wanted."""

    name: str
    wanted: str  # "≥ 0.80" of requests/s, or "≤ 1.4" of costs
    unit: str  # of the costs: µs of the server's CPU time for a request, MiB, or seconds of CPU time
    ours: Callable[[], Sample]
    theirs: Callable[[], Sample]
    pairs: int = 1  # in a round
    samples: list[tuple[Sample, Sample]] = field(default_factory=list)

    def measure(self) -> None:
        """A round; who was first in one pair comes second in the next."""
        for _ in range(self.pairs):
            if len(self.samples) % 2:
                theirs, ours = self.theirs(), self.ours()
            else:
                ours, theirs = self.ours(), self.theirs()
            self.samples.append((ours, theirs))

    @property
    def limit(self) -> float:
        return float(self.wanted[1:])

    @property
    def ratios(self) -> list[float]:
        compared = attrgetter("speed" if self.wanted.startswith("≥") else "cost")
        return [compared(ours) / compared(theirs) for ours, theirs in self.samples]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def holds(self) -> str:
        keeps = ge if self.wanted.startswith("≥") else le
        return "yes" if keeps(self.ratio, self.limit) else "no"

    def row(self) -> str:
        ratio = f"{self.ratio:.2f} ({min(self.ratios):.2f}–{max(self.ratios):.2f})"
        ours, theirs = (
            statistics.median(sample.cost for sample in side)
            for side in zip(*self.samples, strict=True)
        )
        costs = [
            f"{cost:,.{0 if cost >= 100 else 2}f} {self.unit}"
            for cost in (ours, theirs)
        ]
        return f"| {' | '.join([self.name, self.wanted, ratio, *costs, f'{ours / theirs:.2f}', self.holds])} |"


def figures(served: dict[str, Instance], pairs: int, seconds: float) -> list[Figure]:
    """Every figure, in the order in which a round measures them, with so many pairs of loads of so many seconds."""

    def loads(
        name: str,
        interface: str,
        wanted: str,
        path: str,
        ours="ours",
        theirs="bare",
        their_path="",
    ) -> Figure:
        def under_load(name: str, path: str) -> Sample:
            instance = served[f"{interface}-{name}"]
            return load(
                instance.process.pid,
                instance.port,
                path or instance.static_path,
                seconds,
            )

        name = f"{name}, {interface.upper()}"
        one, other = (
            lambda: under_load(ours, path),
            lambda: under_load(theirs, their_path or path),
        )
        return Figure(name, wanted, "µs", one, other, pairs)

    def starts(interface: str) -> list[Figure]:
        """Of the same start: what it takes until one of two workers has answered, and the memory after a load."""
        memory: dict[str, Sample] = {}

        def start(name: str) -> Sample:
            another = replace(
                served[f"{interface}-{name}"],
                name="another",
                workers=2,
                port=free_port(),
            )
            try:
                another.start()
                used = Sample(cpu_s(another.process.pid))
                load(another.process.pid, another.port, "/bench/list/", seconds)
                memory[name] = Sample(memory_mib(another.process.pid))
            finally:
                another.stop()
            return used

        of = interface.upper()
        return [
            Figure(
                f"CPU to the first 200, {of}",
                "≤ 1.4",
                "s",
                lambda: start("ours"),
                lambda: start("bare"),
            ),
            Figure(
                f"memory a worker, {of}",
                "≤ 1.25",
                "MiB",
                lambda: memory["ours"],
                lambda: memory["bare"],
            ),
        ]

    def bake() -> Sample:
        with TemporaryDirectory() as folder:
            return Sample(
                command_cpu_s("cookiecutter", TEMPLATE, "--no-input", cwd=Path(folder))
            )

    def start_project() -> Sample:
        python = served["wsgi-bare"].command[0]
        with TemporaryDirectory() as folder:
            return Sample(
                command_cpu_s(
                    python, "-m", "django", "startproject", "bare", cwd=Path(folder)
                )
            )

    json, json_async = "/bench/json/", "/bench/json-async/"
    sentry = {"ours": "ours-sentry", "theirs": "bare-sentry"}
    return [
        loads("JSON view", "wsgi", "≥ 0.65", json),
        loads("JSON view", "asgi", "≥ 0.95", json_async),
        loads("list page", "wsgi", "≥ 0.85", "/bench/list/"),
        loads("list page", "asgi", "≥ 1.0", "/bench/list/"),
        loads("one row", "wsgi", "≥ 0.80", "/bench/row/"),
        loads("one row", "asgi", "≥ 2.0", "/bench/row-async/"),
        loads("JSON view with Sentry", "wsgi", "≥ 0.85", json, **sentry),
        loads("JSON view with Sentry", "asgi", "≥ 0.85", json_async, **sentry),
        loads("static file", "wsgi", "≥ 0.80", "", theirs="bare-whitenoise"),
        loads("static file", "asgi", "≥ 0.90", "", theirs="bare-whitenoise"),
        loads(
            "readiness against JSON view",
            "wsgi",
            "≤ 0.6",
            "/health/ready/",
            theirs="ours",
            their_path=json,
        ),
        loads(
            "readiness against JSON view",
            "asgi",
            "≤ 0.6",
            "/health/ready/",
            theirs="ours",
            their_path=json_async,
        ),
        *starts("wsgi"),
        *starts("asgi"),
        Figure("bake against startproject", "≤ 3.0", "s", bake, start_project),
    ]
