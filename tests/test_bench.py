"""A short round of the benchmark: the table and the picture are complete."""

import re
import sys
from xml.etree import ElementTree

from tests.bakery import TEMPLATE, run

FIGURES = """
    JSON view, WSGI
    JSON view, ASGI
    list page, WSGI
    list page, ASGI
    one row, WSGI
    one row, ASGI
    JSON view with Sentry, WSGI
    JSON view with Sentry, ASGI
    static file, WSGI
    static file, ASGI
    readiness against JSON view, WSGI
    readiness against JSON view, ASGI
    CPU to the first 200, WSGI
    memory a worker, WSGI
    CPU to the first 200, ASGI
    memory a worker, ASGI
    bake against startproject
"""


def test_one_short_round_gives_a_whole_table_and_picture(tmp_path):
    short = ["--rounds=1", "--pairs=1", "--seconds=0.2", f"--output={tmp_path}"]
    run(sys.executable, "-m", "bench", *short, cwd=TEMPLATE)
    text = (tmp_path / "RESULTS.md").read_text()
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    figures = [figure.strip() for figure in FIGURES.strip().splitlines()]
    assert [name for name, *_ in rows[1:]] == figures
    for name, wanted, ratio, ours, theirs, costs, holds in rows[1:]:
        assert re.fullmatch(r"[≥≤] \d\.\d+", wanted), name
        assert re.fullmatch(r"\d+\.\d\d \(\d+\.\d\d–\d+\.\d\d\)", ratio), name
        assert re.fullmatch(r"[\d,.]*[1-9][\d,.]* (µs|MiB|s)", ours), name
        assert re.fullmatch(r"[\d,.]*[1-9][\d,.]* (µs|MiB|s)", theirs), name
        assert re.fullmatch(r"\d+\.\d\d", costs), name
        assert holds in ("yes", "no"), name
    for line in (
        r"- Rounds: 1, each of 1 pairs of loads of 0.2 s",
        r"- Machine: \d+ cores, \d+ GiB, Linux \S+",
        r"- Versions: Python 3\.\S+, Django \S+, gunicorn \S+, .*whitenoise \S+",
        r"- Date: \d{4}-\d\d-\d\d",
    ):
        assert re.search(f"^{line}$", text, re.MULTILINE), line
    assert str(tmp_path) not in text

    picture = ElementTree.parse(tmp_path / "results.svg")  # noqa: S314 - our own
    svg = {"": "http://www.w3.org/2000/svg"}
    drawn = picture.findall("g", svg)
    assert [group.find("text[@class='name']", svg).text for group in drawn] == figures
    for group, (name, wanted, ratio, *_, holds) in zip(drawn, rows[1:], strict=True):
        assert float(group.find("rect", svg).get("width")) > 0, name
        assert float(group.find("line[@class='limit']", svg).get("x1")) > 0, name
        value = group.findall("text", svg)[-1].text
        assert value == f"{ratio.split()[0]} ({wanted}: {holds})"
    assert "prefers-color-scheme: dark" in picture.find("style", svg).text
