"""Measures every figure and writes the table: `python -m bench`."""

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

PACKAGES = (
    "Django",
    "gunicorn",
    "psycopg",
    "redis",
    "sentry-sdk",
    "uvicorn",
    "uvloop",
    "whitenoise",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--pairs", type=int, default=4, help="of loads, a row and round"
    )
    parser.add_argument("--seconds", type=float, default=1, help="a load")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, help="the folder"
    )
    options = parser.parse_args()
    find_program("wrk", "wrk")
    # As in production everything has been compiled once; nothing of the template itself is imported.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    with tempfile.TemporaryDirectory() as folder, instances(Path(folder)) as served:
        measured = figures(served, options.pairs, options.seconds)
        for _ in range(options.rounds):
            for figure in measured:
                figure.measure()
        loads = f"{options.rounds}, each of {options.pairs} pairs of loads of {options.seconds:g} s"
        text = report(measured, loads, served["asgi-ours"].folder)
    (options.output / "RESULTS.md").write_text(text, encoding="utf-8")
    (options.output / "results.svg").write_text(plot(measured), encoding="utf-8")
    print(text)


def report(measured: list[Figure], loads: str, project: Path) -> str:
    """The table with what it was measured on."""
    memory_gib = psutil.virtual_memory().total / 2**30
    machine = f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()} {platform.release()}"
    return f"""# What production features cost

![Each ratio as a bar, with its limit](results.svg)

A project of this template is compared with bare Django, as `startproject` writes it.

- Both have the same views, template, server, threads and database server, and the same settings of the connections
  (`CONN_MAX_AGE`, `CONN_HEALTH_CHECKS`). Under ASGI ours also has a pool; bare Django connects for each request.
- Ours has all of its production settings on and writes its access log to a file.
- Bare Django serves static files with WhiteNoise. With Sentry both have the same SDK, DSN and sample rate (0.1); bare
  Django has the SDK's Django integration with its default settings.
- Each has one worker, which answers 8 connections. Loads of the two alternate, and so does which one is first. The ratio
  is the median of all pairs (smallest–largest): of requests/s where more is wanted, else of costs.
- The cost of a request is CPU time of the server. The list page has 50 rows, three queries and a template. Memory and
  start are those of two workers with their master. A row that is "against" something else has that in place of bare Django.

Measured:

- Rounds: {loads}
- Machine: {machine}
- Versions: Python {platform.python_version()}, {", ".join(versions(project))}
- Date: {datetime.now(UTC):%Y-%m-%d}

| figure | wanted | ratio | cost, ours | bare | ratio of costs | holds |
|---|---|---|---|---|---|---|
{chr(10).join(figure.row() for figure in measured)}
"""


def versions(project: Path) -> list[str]:
    """The versions that the projects were measured with."""
    site = next((project / ".venv" / "lib").glob("python*/site-packages"))
    found = {
        found.name.lower(): found.version for found in distributions(path=[str(site)])
    }
    return [f"{name} {found[name.lower()]}" for name in PACKAGES]


if __name__ == "__main__":
    main()
