"""Logs: every line of every process is a JSON object, what Celery prints on a signal aside.

Through traffic, errors, a reload, a worker of the server and one of the tasks' killed; and an exception is there once,
with its traceback and its request's id.
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

ENQUEUE = {
    "celery": "from apps.users.tasks import send_welcome_mail as t; t.delay(0); t.delay('no number')",
    "database": "from apps.users.tasks import send_welcome_mail as t; t.enqueue(0); t.enqueue('no number')",
}
DONE = "no welcome mail for user 0"


@both_interfaces
@pytest.mark.parametrize("sentry", ["with Sentry", "without"])
def test_every_line_is_json(
    project, env, services, start, start_worker, report, sentry
):
    dsn = services.sentry.dsn if sentry == "with Sentry" else ""
    report(
        f"{sentry}: {drill(project, env | {'SENTRY_DSN': dsn}, start, start_worker)}"
    )


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
    broken = break_promise(
        "core/logs.py",
        '"django.request": {"level": "ERROR"}',
        '"django.request": {"level": "ERROR", "handlers": ["stdout"]}',
    )
    with pytest.raises(AssertionError, match="2 times"):
        drill(broken, env, start, start_worker)


def drill(project, env: dict[str, str], start, start_worker) -> str:
    instance, worker = start(project, env), start_worker(project, env)
    enqueue = ("shell", "--no-imports", "-c", ENQUEUE[project.answers["task_queue"]])
    project.manage(*enqueue, env=env)
    for name in ("error", "error-async"):
        assert (
            instance.get(f"/drill/{name}/", **{"X-Request-ID": f"the-{name}"}).status
            == 500
        )
    assert instance.get("/missing/").status == 404
    assert instance.get("/", Host="evil.test").status == 400

    with Load(instance.port, "/drill/row/", clients=4) as load:
        load.wait_for(100)
        before = instance.workers
        instance.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: (
                len(instance.workers) == 2 and not set(instance.workers) & set(before)
            ),
            60,
            "the reload",
        )
        killed = instance.workers[0]
        kill(killed)
        wait_until(
            lambda: len(instance.workers) == 2 and killed not in instance.workers,
            30,
            "a new worker",
        )
        load.wait_for(100)
    assert instance.stop() == 0

    worker.wait_for(
        lambda: DONE in worker.log and "no number" in worker.log, 30, "the tasks"
    )
    for child in descendants(worker.pid)[:1]:
        kill(child)
        worker.wait_for(lambda: "SIGKILL" in worker.log, 30, "the loss to be told")
    if project.answers["task_queue"] == "celery":
        worker.send_signal(signal.SIGHUP)
        # After a lost process Celery may wait 30 s for a result that it does not read any more.
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
        told = [
            line
            for line in lines
            if line.get("request_id") == f"the-{name}" and "exc_info" in line
        ]
        assert len(told) == 1, f"the exception is told {len(told)} times"
        assert all(
            text in told[0]["exc_info"]
            for text in ("Traceback", "RuntimeError: drilled", "drill.py")
        )
    assert (
        len(
            [
                line
                for line in lines
                if "RuntimeError: drilled" in line.get("exc_info", "")
            ]
        )
        == 2
    )
    assert any(
        "reload" in line["message"] or "Hang up" in line["message"] for line in lines
    )
    assert any(
        str(killed) in line["message"] and "SIGKILL" in line["message"]
        for line in lines
    )
    assert "Shutting down" in lines[-1]["message"]

    of_worker = read_lines(worker)
    assert (
        len([line for line in of_worker if "ValueError" in line.get("exc_info", "")])
        == 1
    )
    return f"{len(lines)} lines of the server and {len(of_worker)} of the worker, each exception once"


def read_lines(process: Process) -> list[dict[str, Any]]:
    lines = []
    for text in process.log.splitlines():
        if process.name.startswith("worker") and CELERY_ON_A_SIGNAL.fullmatch(text):
            continue
        try:
            line = json.loads(text)
        except ValueError:
            raise AssertionError(
                f"{process.name} writes what is not JSON: {text!r}"
            ) from None
        assert {"timestamp", "level", "logger", "message"} <= line.keys(), line
        assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC, line
        lines.append(line)
    return lines
