"""Readiness: the database goes away and comes back.

The instance is not ready without its database. It stays live, serves other pages, and
does not restart.
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
def test_readiness_without_a_query_is_noticed(
    project, env, start, database, break_promise
):
    old = "    connection.ensure_connection()\n    if"
    new = "    return\n    if"
    broken = break_promise("core/health.py", old, new)
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
        assert instance.get("/.well-known/security.txt").status == 200
        assert time.monotonic() - down < 10
    finally:
        database.start()
    ready_after, _ = wait_for_status(instance, 200, "still not ready", 3)
    assert instance.process.pid == pid
    assert instance.get("/drill/row/").status == 200
    return (
        f"503 {unready_after:.1f} s after its end, "
        f"200 {ready_after:.1f} s after its start"
    )


def wait_for_status(
    instance, status: int, otherwise: str, limit: float
) -> tuple[float, Answer]:
    """Return the seconds until readiness has this status, and the answer."""
    started = time.monotonic()
    while (answer := instance.get("/health/ready/")).status != status:
        took = time.monotonic() - started
        assert took < limit, f"{otherwise} after {took:.1f} s"
        time.sleep(PAUSE)
    return time.monotonic() - started, answer
