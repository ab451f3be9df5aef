"""Measure every figure and write the table: `python -m bench`."""

import argparse
import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import psutil

from bench.figures import Figure, figures
from bench.plot import plot
from bench.projects import instances
from tests.services.process import find_program

PACKAGES = "Django gunicorn psycopg redis sentry-sdk uvicorn uvloop whitenoise".split()
RESULTS = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=4, help="per row and round")
    parser.add_argument("--seconds", type=float, default=1, help="per load")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder")
    options = parser.parse_args()
    find_program("wrk", "wrk")
    # Cache bytecode, as in production. Nothing imports files of the template itself.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    with tempfile.TemporaryDirectory() as folder, instances(Path(folder)) as served:
        measured = figures(served, options.pairs, options.seconds)
        for _ in range(options.rounds):
            for figure in measured:
                figure.measure()
        loads = f"{options.pairs} pairs of loads of {options.seconds:g} s"
        rounds = f"{options.rounds}, each of {loads}"
        text = report(measured, rounds, served["asgi-ours"].folder)
    (options.output / "RESULTS.md").write_text(text, encoding="utf-8")
    (options.output / "results.svg").write_text(plot(measured), encoding="utf-8")
    print(text)


def report(measured: list[Figure], rounds: str, project: Path) -> str:
    """Return the table, with the method, the machine and the versions."""
    memory_gib = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}"
    machine = f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {system}"
    return f"""# What production features cost

![Each ratio as a bar, with its limit](results.svg)

A project of this template is compared with bare Django, as `startproject` writes it.

- Both have the same views, template, server, threads, database server and connection
  settings (`CONN_MAX_AGE`, `CONN_HEALTH_CHECKS`). Under ASGI our project also has a
  pool, and bare Django connects for each request.
- Our project has all its production settings on and writes its access log to a file.
- Bare Django serves static files with WhiteNoise. In the rows with Sentry both have the
  same SDK, DSN and sample rate (0.1). Bare Django has the SDK's Django integration with
  its default settings.
- Each has one worker, which answers 8 connections. Their loads alternate, and so does
  their order. The ratio is the median of all pairs (smallest–largest): of requests/s
  for a limit with ≥, of costs for one with ≤.
- The cost of a request is CPU time of the server. The list page has 50 rows, three
  queries and a template. Memory and start are of two workers and their master. A row
  "against" something else compares our project with that instead of bare Django.

Measured:

- Rounds: {rounds}
- Machine: {machine}
- Versions: Python {platform.python_version()}, {", ".join(versions(project))}
- Date: {datetime.now(UTC):%Y-%m-%d}

| figure | wanted | ratio | cost, ours | bare | ratio of costs | holds |
|---|---|---|---|---|---|---|
{chr(10).join(figure.row() for figure in measured)}
"""


def versions(project: Path) -> list[str]:
    """Return the names and versions of the packages in a project's environment."""
    site = next((project / ".venv" / "lib").glob("python*/site-packages"))
    installed = distributions(path=[str(site)])
    found = {package.name.lower(): package.version for package in installed}
    return [f"{name} {found[name.lower()]}" for name in PACKAGES]


if __name__ == "__main__":
    main()
