"""Readiness in a black hole: the database's address swallows packets.

A firewall or a host after a failover looks like this: no refusal and no answer.
"""

import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.drill import every_interface_and_server, only_wsgi
from tests.services import BlackHole

PROBES = 40


@every_interface_and_server
def test_readiness_answers_in_a_black_hole(project, env, start, report):
    with BlackHole() as hole:
        report(drill(start(project, lead_into(hole, env), workers=1)))


@only_wsgi
def test_readiness_that_waits_for_the_database_is_noticed(
    project, env, start, break_promise
):
    broken = break_promise(
        "core/health.py", "DEADLINE_S = 1.0, 1.5", "DEADLINE_S = 1.0, 3.0"
    )
    with BlackHole() as hole, pytest.raises(AssertionError, match="waited"):
        drill(start(broken, lead_into(hole, env), workers=1))


def drill(instance) -> str:
    with ThreadPoolExecutor(PROBES) as pool:
        first = timed_probe(instance)
        waits = list(pool.map(timed_probe, [instance] * PROBES))
        page = time.monotonic()
        assert instance.get("/").status == 200
        page_took = time.monotonic() - page
    assert max(first, *waits) < 2, f"a probe waited for {max(first, *waits):.1f} s"
    assert page_took < 1, f"a page waited for {page_took:.1f} s: no worker was free"
    median = statistics.median(waits)
    return (
        f"first answer after {first:.1f} s, "
        f"{PROBES} at once after {median:.2f} s (median)"
    )


def timed_probe(instance) -> float:
    """Return the seconds until readiness answers 503."""
    started = time.monotonic()
    try:
        assert instance.get("/health/ready/").status == 503
    except TimeoutError:
        raise AssertionError("a probe waited for more than 10 s") from None
    return time.monotonic() - started


def lead_into(hole: BlackHole, env: dict[str, str]) -> dict[str, str]:
    address = f"@127.0.0.1:{hole.port}/"
    url = re.sub(r"@127\.0\.0\.1:\d+/", address, env["DATABASE_URL"])
    return env | {"DATABASE_URL": url}
