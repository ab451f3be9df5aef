"""In flight: SIGTERM while a request takes five seconds.

A deployment must not cut off requests.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.services import wait_until

GRACEFUL_TIMEOUT_S = 25
SECONDS = 5


@both_interfaces
def test_requests_in_flight_are_completed(project, env, start, services, report):
    report(drill(start(project, env), services.postgresql, env))


@only_wsgi
def test_requests_that_are_cut_off_are_noticed(
    project, env, start, services, break_promise
):
    broken = break_promise(
        "gunicorn.conf.py",
        "graceful_timeout = server.GRACEFUL_TIMEOUT",
        "graceful_timeout = 1",
    )
    with pytest.raises(AssertionError, match="cut off"):
        drill(start(broken, env), services.postgresql, env)


def drill(instance, postgresql, env) -> str:
    paths = [f"/drill/slow/{SECONDS}/", f"/drill/slow-async/{SECONDS}/"]
    assert instance.get("/drill/row/").status == 200
    assert postgresql.count_connections(env["DATABASE_URL"]) > 0
    with ThreadPoolExecutor(len(paths)) as pool:
        requests = [pool.submit(ask, instance, path) for path in paths]
        what = "both are in flight"
        wait_until(lambda: count_begun(instance) == len(paths), 10, what)
        told = time.monotonic()
        status = instance.stop()
        took = time.monotonic() - told
        statuses = [request.result() for request in requests]
        assert statuses == [200, 200], "a request was cut off"
    assert status == 0, f"exit status {status}"
    assert took < GRACEFUL_TIMEOUT_S, f"the end took {took:.1f} s"
    connections = postgresql.count_connections(env["DATABASE_URL"])
    assert connections == 0, "a connection to the database is still open"
    alarming = ("WARNING", "ERROR", "CRITICAL")
    assert not [line for line in instance.lines if line["level"] in alarming]
    return f"completed, status 0 after {took:.1f} s, no connection left"


def ask(instance, path: str) -> int:
    """Return the status of the answer, or 0 for a broken connection."""
    try:
        return instance.get(path).status
    except OSError:
        return 0


def count_begun(instance) -> int:
    return [line["message"] for line in instance.lines].count("a slow request begins")
