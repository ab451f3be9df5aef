"""The benchmark, in one short round: whether its table is whole, not what it says."""

import re
import sys

from tests.bakery import TEMPLATE, run

FIGURES = """
    JSON view, WSGI, no DSN
    JSON view, WSGI, DSN set, traces 0.1
    JSON view, ASGI
    one-row database view, WSGI
    one-row database view, ASGI
    static file, WSGI
    static file, ASGI
    CPU to the first 200, WSGI
    CPU to the first 200, ASGI
    memory (PSS) a worker, WSGI
    memory (PSS) a worker, ASGI
    bake against startproject, CPU
    readiness probe against JSON view, CPU, WSGI
    readiness probe against JSON view, CPU, ASGI
"""


def test_one_short_round_gives_a_whole_table(tmp_path):
    results = tmp_path / "RESULTS.md"
    run(sys.executable, "-m", "bench", "--rounds=1", "--pairs=1", f"--output={results}", cwd=TEMPLATE)
    text = results.read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    measured = {name: (wanted, ratio) for name, wanted, ratio, *_ in rows[1:]}
    for figure in FIGURES.strip().splitlines():
        wanted, ratio = measured[figure.strip()]
        assert re.fullmatch(r"[≥≤] \d\.\d+", wanted), figure
        assert re.fullmatch(r"\d+\.\d\d \(.*\)", ratio), figure
    assert re.search(r"^- Machine: \d+ cores, \d+ GiB, Linux \S+$", text, re.MULTILINE)
    assert re.search(r"^- Versions: Python 3\.\S+, Django \S+, gunicorn \S+, .*whitenoise \S+$", text, re.MULTILINE)
    assert re.search(r"^- Date: \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert str(tmp_path) not in text
