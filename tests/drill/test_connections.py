"""Connections: 64 clients for twenty seconds.

Under WSGI each thread keeps a connection. An ASGI server accepts all requests at once,
so the pool limits the connections to the database.
"""

import threading

import pytest

from tests.drill import both_interfaces, only_asgi, only_wsgi
from tests.drill.instances import Load

CLIENTS = 64
SECONDS = 20
WORKERS = 2
# Per worker: one for each thread and one for the readiness check; a pool of ten.
ALLOWED = {"wsgi": 5, "asgi": 10}


@both_interfaces
def test_no_more_connections_than_are_allowed(project, env, start, services, report):
    instance = start(project, env, workers=WORKERS)
    report(drill(instance, services.postgresql, env, SECONDS))


@only_wsgi
def test_more_threads_are_noticed(project, env, start, services, break_promise):
    broken = break_promise(
        "gunicorn.conf.py", "threads = server.THREADS", "threads = server.THREADS * 9"
    )
    with pytest.raises(AssertionError, match="connections"):
        drill(start(broken, env, workers=WORKERS), services.postgresql, env, 5)


@only_asgi
def test_a_connection_for_each_request_is_noticed(
    project, env, start, services, break_promise
):
    size = '"max_size": pool_max_size'
    broken = break_promise("config/databases.py", size, f"{size} * 9")
    with pytest.raises(AssertionError, match="connections"):
        drill(start(broken, env, workers=WORKERS), services.postgresql, env, 5)


def drill(instance, postgresql, env, seconds: int) -> str:
    """Put load on a view that is a function and on one that is a coroutine."""
    allowed = WORKERS * ALLOWED[instance.project.answers["interface"]]
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
    assert peak <= allowed, f"{peak} connections, where {allowed} are allowed"
    failures = one.failures + other.failures
    assert not failures, f"{len(failures)} requests failed: {failures[0]}"
    requests = one.requests + other.requests
    assert requests > CLIENTS
    connections = f"{peak} connections of {allowed} at most"
    return f"{connections}, {requests} requests, none failed"
