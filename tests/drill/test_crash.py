"""Crash: a worker is killed under load.

The kernel does this when memory runs out. No signal handler runs, and the requests of
the worker are lost.
"""

import time

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.instances import Load, kill
from tests.services import wait_until

CLIENTS = 8
WORKERS = 3
REQUESTS = 500


@both_interfaces
def test_a_killed_worker_is_replaced(project, env, start, report):
    report(drill(start(project, env, workers=WORKERS)))


@only_wsgi
def test_a_server_that_ends_with_its_worker_is_noticed(
    project, env, start, break_promise
):
    ends = "\n\ndef child_exit(server, worker):\n    server.halt(exit_status=1)\n"
    preload = "preload_app = True\n"
    broken = break_promise("gunicorn.conf.py", preload, preload + ends)
    with pytest.raises(AssertionError, match="did not go on"):
        drill(start(broken, env, workers=WORKERS))


def drill(instance) -> str:
    before = instance.workers

    def is_replaced() -> bool:
        return len(set(instance.workers) - set(before)) == 1

    assert len(before) == WORKERS
    with Load(instance.port, "/drill/row/", CLIENTS) as load:
        load.wait_for(REQUESTS)
        assert not load.failures, load.failures[0]
        killed = time.monotonic()
        kill(before[0])
        try:
            wait_until(is_replaced, 10, "a new worker")
            replaced = time.monotonic() - killed
            load.wait_for(REQUESTS)
        except (TimeoutError, OSError) as error:
            raise AssertionError(f"the instance did not go on: {error}") from None
    lost = [kind for _, kind in load.failures]
    # Each client has one open request. Only those of the killed worker may be lost.
    assert len(lost) <= CLIENTS, f"{len(lost)} requests failed: {lost[-1]}"
    assert set(before[1:]) < set(instance.workers), "another worker went with it"
    assert not [kind for kind in lost if kind.startswith("status")], lost
    requests = f"{len(lost)} of {load.requests} requests lost with it"
    return f"replaced after {replaced:.1f} s, {requests}"
