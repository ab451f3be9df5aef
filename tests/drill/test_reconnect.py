"""Reconnect: the database restarts, under load and while nobody looks.

Connections from before the restart are broken. A request that got one would fail.
"""

import time

import pytest

from tests.drill import every_interface_and_server, only_asgi, only_wsgi
from tests.drill.instances import Load
from tests.services import wait_until

REQUESTS = 300


@every_interface_and_server
def test_no_request_fails_once_the_database_is_back(
    project, env, start, database, report
):
    report(drill(start(project, env), database))


@only_asgi
def test_connections_that_the_pool_replaces_one_by_one_are_noticed(
    project, env, start, database, break_promise
):
    broken = break_promise("config/databases.py", "pool.drain()", "pass")
    restart = r"after a restart at rest, \d+ at a time"
    with pytest.raises(AssertionError, match=rf"\d+ requests failed {restart}"):
        drill(start(broken, env), database)


@only_wsgi
def test_connections_that_are_not_checked_are_noticed(
    project, env, start, database, break_promise
):
    broken = break_promise(
        "config/settings/production.py", 'database["CONN_HEALTH_CHECKS"] = True', "pass"
    )
    # A thread that was idle during the first restart may already fail after that one.
    restart = "(the restart|a restart at rest)"
    with pytest.raises(AssertionError, match=rf"\d+ requests failed after {restart}"):
        drill(start(broken, env), database)


def drill(instance, database) -> str:
    assert instance.get("/drill/row/").status == 200
    with Load(instance.port, "/drill/row/", clients=8) as load:
        load.wait_for(REQUESTS)
        assert not load.failures, load.failures[0]
        database.restart()
        restarted = time.monotonic()
        wait_until(instance.is_ready, 10, "readiness after the restart")
        ready = time.monotonic()
        load.wait_for(REQUESTS)
    failed, late = len(load.failures), load.failures_since(ready)
    assert not late, f"{len(late)} requests failed after the restart: {late[0]}"
    # A single client meets the broken connections one after the other.
    for clients in (8, 1):
        database.restart()
        with Load(instance.port, "/drill/row/", clients=clients) as later:
            later.wait_for(REQUESTS)
        late = later.failures
        what = f"after a restart at rest, {clients} at a time"
        assert not late, f"{len(late)} requests failed {what}: {late[0]}"
    return (
        f"ready after {ready - restarted:.1f} s, {failed} requests failed before it, "
        "none after it or after two restarts at rest"
    )
