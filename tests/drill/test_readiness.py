"""Readiness: the database goes away and comes back.

The instance says that it is not ready, and nothing else about it changes: it is neither restarted nor used up.
"""

import time

import pytest

from tests.drill import every_interface_and_server, only_wsgi
from tests.serving import Answer

PAUSE = 0.02  # seconds between two probes


@every_interface_and_server
def test_readiness_follows_the_database(project, env, start, database, report):
    report(drill(start(project, env), database))


@only_wsgi
def test_readiness_that_asks_nobody_is_noticed(
    project, env, start, database, break_promise
):
    broken = break_promise(
        "core/health.py",
        "    close_old_connections()\n    try:",
        "    return\n    try:",
    )
    with pytest.raises(AssertionError, match="still ready"):
        drill(start(broken, env), database)


def drill(instance, database) -> str:
    assert instance.get("/health/ready/").status == 200
    pid = instance.process.pid
    try:
        database.stop()
        down = time.monotonic()
        unready_after, answer = wait_for_status(instance, 503, "still ready", 3)
        assert b'"database": "failing"' in answer.body
        assert instance.get("/health/live/").status == 200
        assert instance.get("/").status == 200
        assert instance.get("/robots.txt").status == 200
        assert time.monotonic() - down < 10
    finally:
        database.start()
    ready_after, _ = wait_for_status(instance, 200, "still not ready", 3)
    assert instance.process.pid == pid
    assert instance.get("/drill/row/").status == 200
    return f"503 {unready_after:.1f} s after its end, 200 {ready_after:.1f} s after its start"


def wait_for_status(
    instance, status: int, otherwise: str, limit: float
) -> tuple[float, Answer]:
    """Seconds until readiness answers so, and that answer."""
    started = time.monotonic()
    while (answer := instance.get("/health/ready/")).status != status:
        took = time.monotonic() - started
        assert took < limit, f"{otherwise} after {took:.1f} s"
        time.sleep(PAUSE)
    return time.monotonic() - started, answer
