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
    """A row of the table: two measurements and the limit of their ratio."""

    name: str
    wanted: str  # "≥ 0.80" of requests/s, or "≤ 1.4" of costs
    unit: str  # of the costs: µs of CPU time per request, MiB, or s of CPU time
    ours: Callable[[], Sample]
    theirs: Callable[[], Sample]
    pairs: int = 1  # in a round
    samples: list[tuple[Sample, Sample]] = field(default_factory=list)

    def measure(self) -> None:
        """Measure the pairs of a round; their order alternates."""
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
        of_costs = f"{ours / theirs:.2f}"
        cells = [self.name, self.wanted, ratio, *costs, of_costs, self.holds]
        return f"| {' | '.join(cells)} |"


def figures(served: dict[str, Instance], pairs: int, seconds: float) -> list[Figure]:
    """Return the figures in the order of a round; a load takes `seconds`."""

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
            target = path or instance.static_path
            return load(instance.process.pid, instance.port, target, seconds)

        return Figure(
            f"{name}, {interface.upper()}",
            wanted,
            "µs",
            lambda: under_load(ours, path),
            lambda: under_load(theirs, their_path or path),
            pairs,
        )

    def starts(interface: str) -> list[Figure]:
        """Return the CPU time until one of two workers answers, and the memory then."""
        memory: dict[str, Sample] = {}

        def start(name: str) -> Sample:
            instance = served[f"{interface}-{name}"]
            another = replace(instance, name="another", workers=2, port=free_port())
            try:
                another.start()
                used = Sample(cpu_s(another.process.pid))
                load(another.process.pid, another.port, "/bench/list/", seconds)
                memory[name] = Sample(memory_mib(another.process.pid))
            finally:
                another.stop()
            return used

        cpu = f"CPU to the first 200, {interface.upper()}"
        mib = f"memory a worker, {interface.upper()}"
        return [
            Figure(cpu, "≤ 1.4", "s", lambda: start("ours"), lambda: start("bare")),
            Figure(
                mib, "≤ 1.25", "MiB", lambda: memory["ours"], lambda: memory["bare"]
            ),
        ]

    def bake() -> Sample:
        command = ["cookiecutter", TEMPLATE, "--no-input"]
        with TemporaryDirectory() as folder:
            return Sample(command_cpu_s(*command, cwd=Path(folder)))

    def start_project() -> Sample:
        python = served["wsgi-bare"].command[0]
        command = [python, "-m", "django", "startproject", "bare"]
        with TemporaryDirectory() as folder:
            return Sample(command_cpu_s(*command, cwd=Path(folder)))

    json, json_async = "/bench/json/", "/bench/json-async/"
    probe = "readiness against JSON view"
    ready = {"path": "/health/ready/", "theirs": "ours"}
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
        loads(probe, "wsgi", "≤ 0.6", their_path=json, **ready),
        loads(probe, "asgi", "≤ 0.6", their_path=json_async, **ready),
        *starts("wsgi"),
        *starts("asgi"),
        Figure("bake against startproject", "≤ 3.0", "s", bake, start_project),
    ]
