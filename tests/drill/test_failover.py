"""Failover: a primary of Redis becomes a replica, and its address leads to the new one.

The connections to the old primary stay open: it answers reads, and refuses writes.
"""

import json
import time
from contextlib import ExitStack

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.instances import Load
from tests.services import Forwarder, Redis, wait_until

REQUESTS = 300
ENQUEUE = "from core.tasks import clear_sessions; clear_sessions.delay()"


@both_interfaces
def test_the_next_call_reaches_the_new_primary(
    project, env, start, start_worker, tmp_path, report
):
    report(drill(project, env, start, start_worker, tmp_path))


@both_interfaces
def test_connections_that_stay_at_the_old_primary_are_noticed(
    project, env, start, start_worker, tmp_path, break_promise
):
    retry = '"CONNECTION_POOL_KWARGS": {"retry": RECONNECT},'
    broken = break_promise("config/settings/production.py", retry, "")
    with pytest.raises(AssertionError, match="requests failed after the failover"):
        drill(broken, env, start, start_worker, tmp_path)


@only_wsgi
def test_a_worker_that_ends_is_noticed(
    project, env, start, start_worker, tmp_path, break_promise
):
    retry = "broker_channel_error_retry=True,"
    broken = break_promise("config/celery.py", retry, "")
    with pytest.raises(RuntimeError, match="worker-1 ended with 1"):
        drill(broken, env, start, start_worker, tmp_path)


def drill(project, env: dict[str, str], start, start_worker, folder) -> str:
    with ExitStack() as stack:
        old = stack.enter_context(Redis(folder / "old"))
        new = stack.enter_context(Redis(folder / "new"))
        address = stack.enter_context(Forwarder(folder, old.port))
        new.follow(old)
        url = f"redis://127.0.0.1:{address.port}"
        env = env | {"CACHE_URL": f"{url}/0"}
        worker = None
        if project.answers["task_queue"] == "celery":
            env["CELERY_BROKER_URL"] = f"{url}/1"
            worker = start_worker(project, env)
            run_task(project, env, worker, 1)

        instance = start(project, env)
        with Load(instance.port, "/drill/cached/", clients=8) as load:
            load.wait_for(REQUESTS)
            assert cache(instance) == "ok"
            assert not load.failures, load.failures[0]
            new.ask("REPLICAOF NO ONE")
            address.target = new.port
            old.follow(new)
            moved = time.monotonic()
            load.wait_for(REQUESTS)
        late = load.failures_since(moved)
        assert not late, f"{len(late)} requests failed after the failover: {late[0]}"
        # An answer of readiness is used for a second.
        wait_until(lambda: cache(instance) == "ok", 2, "readiness after the failover")
        if worker:
            run_task(project, env, worker, 2)
        requests, failed = sum(load.answers.values()), len(load.failures)
    figure = f"{failed} of {requests} requests failed, none after it"
    return f"{figure}, and the worker goes on" if worker else figure


def run_task(project, env: dict[str, str], worker, count: int) -> None:
    """Enqueue a task and wait until the worker has done this many."""
    project.manage("shell", "--no-imports", "-c", ENQUEUE, env=env)
    worker.wait_for(lambda: worker.log.count("succeeded in") == count, 30, "the task")


def cache(instance) -> str:
    return json.loads(instance.get("/health/ready/").body)["checks"]["cache"]
