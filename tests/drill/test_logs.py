"""Logs: every line of every process is a JSON object, except Celery's on a signal.

This holds during traffic, errors and a reload, and when a worker of the server and one
for tasks are killed. An exception is logged once, with traceback and request id.
"""

import json
import signal
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.instances import Load, descendants, kill
from tests.services import Process, wait_until
from tests.serving import CELERY_ON_A_SIGNAL

METHODS = {"celery": "delay", "database": "enqueue"}
ENQUEUE = """
from apps.users.tasks import send_welcome_mail
send_welcome_mail.{method}(0)
send_welcome_mail.{method}("no number")
"""
DONE = "sent no welcome mail to user 0"


@both_interfaces
@pytest.mark.parametrize("sentry", ["with Sentry", "without"])
def test_every_line_is_json(
    project, env, services, start, start_worker, report, sentry
):
    dsn = services.sentry.dsn if sentry == "with Sentry" else ""
    figure = drill(project, env | {"SENTRY_DSN": dsn}, start, start_worker)
    report(f"{sentry}: {figure}")


@only_wsgi
def test_a_plain_line_is_noticed(project, env, start, start_worker, break_promise):
    broken = break_promise(
        "gunicorn.conf.py", "logconfig_dict = settings.LOGGING\n", ""
    )
    with pytest.raises(AssertionError, match="not JSON"):
        drill(broken, env, start, start_worker)


@only_wsgi
def test_an_error_that_is_told_twice_is_noticed(
    project, env, start, start_worker, break_promise
):
    once = '"django.request": {"level": "ERROR"}'
    twice = '"django.request": {"level": "ERROR", "handlers": ["stdout"]}'
    broken = break_promise("core/logs.py", once, twice)
    with pytest.raises(AssertionError, match="2 times"):
        drill(broken, env, start, start_worker)


def drill(project, env: dict[str, str], start, start_worker) -> str:
    instance, worker = start(project, env), start_worker(project, env)
    script = ENQUEUE.format(method=METHODS[project.answers["task_queue"]])
    project.manage("shell", "--no-imports", "-c", script, env=env)
    for name in ("error", "error-async"):
        headers = {"X-Request-ID": f"the-{name}"}
        assert instance.get(f"/drill/{name}/", **headers).status == 500
    assert instance.get("/missing/").status == 404
    assert instance.get("/", Host="evil.test").status == 400

    with Load(instance.port, "/drill/row/", clients=4) as load:
        load.wait_for(100)
        before = instance.workers
        instance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: has_two_workers(instance, *before), 60, "the reload")
        killed = instance.workers[0]
        kill(killed)
        wait_until(lambda: has_two_workers(instance, killed), 30, "a new worker")
        load.wait_for(100)
    assert instance.stop() == 0

    worker.wait_for(
        lambda: DONE in worker.log and "no number" in worker.log, 30, "the tasks"
    )
    for child in descendants(worker.pid)[:1]:
        kill(child)
        worker.wait_for(lambda: "SIGKILL" in worker.log, 30, "a line on the loss")
    if project.answers["task_queue"] == "celery":
        worker.send_signal(signal.SIGHUP)
        # After the loss Celery may wait 30 s for a result that it no longer reads.
        worker.wait_for(
            lambda: worker.log.count(" ready.") == 2, 60, "the worker to start again"
        )
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(60)
    except TimeoutError:
        raise AssertionError(f"the worker does not end\n{worker.log}") from None

    lines = read_lines(instance.process)
    for name in ("error", "error-async"):
        found = [line for line in lines if line.get("request_id") == f"the-{name}"]
        errors = [line["exc_info"] for line in found if "exc_info" in line]
        assert len(errors) == 1, f"the exception is logged {len(errors)} times"
        for text in ("Traceback", "RuntimeError: drilled", "drill.py"):
            assert text in errors[0]
    errors = [line.get("exc_info", "") for line in lines]
    assert sum("RuntimeError: drilled" in error for error in errors) == 2
    messages = [line["message"] for line in lines]
    assert any("reload" in text or "Hang up" in text for text in messages)
    assert any(str(killed) in text and "SIGKILL" in text for text in messages)
    assert "Shutting down" in messages[-1]

    of_worker = read_lines(worker)
    errors = [line.get("exc_info", "") for line in of_worker]
    assert sum("ValueError" in error for error in errors) == 1
    return (
        f"{len(lines)} lines of the server and {len(of_worker)} of the worker, "
        "each exception once"
    )


def has_two_workers(instance, *old: int) -> bool:
    """Tell whether the instance has two workers, and none of the old ones."""
    workers = set(instance.workers)
    return len(workers) == 2 and not workers & set(old)


def read_lines(process: Process) -> list[dict[str, Any]]:
    lines = []
    for text in process.log.splitlines():
        if process.name.startswith("worker") and CELERY_ON_A_SIGNAL.fullmatch(text):
            continue
        try:
            line = json.loads(text)
        except ValueError:
            problem = f"{process.name} writes a line that is not JSON: {text!r}"
            raise AssertionError(problem) from None
        assert {"timestamp", "level", "logger", "message"} <= line.keys(), line
        assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC, line
        lines.append(line)
    return lines
