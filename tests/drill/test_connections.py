"""Connections: 64 clients for twenty seconds; an instance with 17 cores takes 40.

Under WSGI each thread keeps a connection. An ASGI server accepts all requests at once,
so the pool limits the connections to the database.
"""

import threading

import pytest

from tests.drill import both_interfaces, only_asgi, only_wsgi
from tests.drill.instances import Load

CLIENTS = 64
SECONDS = 20
ALLOWED = 40
# Under WSGI eight, each with one for each of four threads and one for readiness. Under
# ASGI twice the cores and one, each with a pool of one.
WORKERS_OF_17_CORES = {"wsgi": 8, "asgi": 35}


@both_interfaces
def test_an_instance_with_few_cores_takes_40_at_most(
    project, env, start, services, report
):
    instance = start(project, env, workers=2)
    report(drill(instance, services.postgresql, env, SECONDS))


@both_interfaces
def test_an_instance_with_17_cores_takes_40_at_most(
    project, env, start, services, break_promise, report
):
    large = break_promise("config/server.py", "    return cores\n", "    return 17\n")
    workers = WORKERS_OF_17_CORES[project.answers["interface"]]
    instance = start(large, env, workers=workers, by_default=True)
    # On fewer cores so many workers are slow, and requests wait for a connection.
    figure = drill(instance, services.postgresql, env, SECONDS, has_its_cores=False)
    report(f"17 cores: {figure}")


@both_interfaces
def test_explicit_values_win_and_check_tells_their_sum(project, env):
    def check(**changed: str) -> str:
        return project.manage("check", "--deploy", env=env | changed).stderr

    told = "(core.W011) The server may take 45 connections to the database"
    assert told in check(WEB_CONCURRENCY="9", DATABASE_POOL_MAX_SIZE="5")
    assert told not in check(WEB_CONCURRENCY="8", DATABASE_POOL_MAX_SIZE="5")
    # Without a pool each worker takes five; by default a pool of nine is four.
    is_wsgi = project.answers["interface"] == "wsgi"
    assert (told in check(WEB_CONCURRENCY="9")) == is_wsgi
    assert told not in check(WEB_CONCURRENCY="9", DATABASE_PGBOUNCER="true")


@only_wsgi
def test_more_threads_are_noticed(project, env, start, services, break_promise):
    broken = break_promise(
        "gunicorn.conf.py", "threads = server.THREADS", "threads = server.THREADS * 9"
    )
    with pytest.raises(AssertionError, match="connections"):
        drill(start(broken, env, workers=2), services.postgresql, env, 5)


@only_asgi
def test_a_connection_for_each_request_is_noticed(
    project, env, start, services, break_promise
):
    size = '"max_size": pool_max_size'
    broken = break_promise("config/databases.py", size, f"{size} * 9")
    with pytest.raises(AssertionError, match="connections"):
        drill(start(broken, env, workers=2), services.postgresql, env, 5)


def drill(
    instance, postgresql, env, seconds: int, *, has_its_cores: bool = True
) -> str:
    """Put load on a view that is a function and on one that is a coroutine."""
    peak = 0
    over = threading.Event()
    with (
        Load(instance.port, "/drill/row/", CLIENTS // 2) as one,
        Load(instance.port, "/drill/row-async/", CLIENTS // 2) as other,
    ):
        timer = threading.Timer(seconds, over.set)
        timer.start()
        while not over.wait(0.2):
            peak = max(peak, postgresql.count_connections(env["DATABASE_URL"]))
    assert peak <= ALLOWED, f"{peak} connections, where {ALLOWED} are allowed"
    failures = one.failures + other.failures
    if has_its_cores:
        assert not failures, f"{len(failures)} requests failed: {failures[0]}"
    requests = one.requests + other.requests
    assert requests > CLIENTS
    connections = f"{peak} connections of {ALLOWED} at most"
    return f"{connections}, {requests} requests, {len(failures) or 'none'} failed"
