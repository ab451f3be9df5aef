"""Measures every figure and writes the table: `python -m bench`."""

import argparse
import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from bench.figures import Figure, figures
from bench.projects import instances
from tests.services.process import find_program

RESULTS = Path(__file__).with_name("RESULTS.md")
PACKAGES = ("Django", "gunicorn", "psycopg", "redis", "sentry-sdk", "uvicorn", "uvloop", "whitenoise")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=4, help="of loads, of a second each, a row and round")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    find_program("wrk", "wrk")
    # As in production everything has been compiled once; nothing of the template itself is imported.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    with tempfile.TemporaryDirectory() as folder, instances(Path(folder)) as served:
        measured = figures(served, options.pairs)
        for instance in served.values():
            instance.start()
            instance.warm_up()
        for _ in range(options.rounds):
            for figure in measured:
                figure.measure()
        text = report(measured, options.rounds, options.pairs, served["asgi", "ours"].folder)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def report(measured: list[Figure], rounds: int, pairs: int, project: Path) -> str:
    """The table with what it was measured on."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()} {platform.release()}"
    return f"""# What production features cost

Projects of this template against bare Django as `startproject` writes it, with the same views, server, workers, threads
and PostgreSQL. Ours has all of its production settings on and writes its access lines to a file. In each of {rounds} rounds one
project is asked for a second, with new connections, then the other, {pairs} times; they take turns at coming first. The ratios
are medians of all pairs (smallest–largest): how the connections fall to the workers, two and fourteen or eight and eight,
decides more in one of them than what is measured. Bare Django serves static files by WhiteNoise; under WSGI it keeps its
connections for 60 s. The first ratio is that of requests/s, or of costs where there is none of CPU time; *CPU* is the
server's time for a request, bare to ours.

- Machine: {machine}
- Versions: Python {platform.python_version()}, {", ".join(versions(project))}
- Date: {datetime.now(UTC):%Y-%m-%d}

| figure | wanted | ratio | CPU | holds |
|---|---|---|---|---|
{chr(10).join(figure.row() for figure in measured)}
"""


def versions(project: Path) -> list[str]:
    """The versions that the projects were measured with."""
    site = next((project / ".venv" / "lib").glob("python*/site-packages"))
    found = {found.name.lower(): found.version for found in distributions(path=[str(site)])}
    return [f"{name} {found[name.lower()]}" for name in PACKAGES]


if __name__ == "__main__":
    main()
