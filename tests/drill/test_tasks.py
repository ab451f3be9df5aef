"""Tasks: a worker is killed in the middle of one and the broker is restarted under the next worker.

No task is lost, and none counts as done that was not; some run twice, as the documentation says. A worker that is
stopped among its tasks ends within 40 s: Celery may wait 30 s for a result that it does not read any more.
"""

import os
import signal
import time

import pytest

from tests.drill import only_asgi, only_wsgi
from tests.services import Mailbox, Redis, wait_until

TASKS = 12
CREATE = """
from apps.users.models import User
for number in range({count}):
    User.objects.create(username="{prefix}" + str(number), email="{prefix}" + str(number) + "@shop.test")
"""
DONE = """
from django_tasks_db.models import DBTaskResult
from apps.users.models import User
pks = [task.args_kwargs["args"][0] for task in DBTaskResult.objects.successful()]
print(*User.objects.filter(pk__in=pks, username__startswith="{prefix}").values_list("email", flat=True))
"""


@only_asgi
def test_no_task_in_the_database_is_lost(
    project, env, start_worker, database, tmp_path, report
):
    def done() -> set[str]:
        return set(
            project.manage(
                "shell", "--no-imports", "-c", DONE.format(prefix="db-"), env=env
            ).stdout.split()
        )

    with Mailbox(tmp_path / "mail") as mailbox:
        report(
            drill(
                project,
                env,
                start_worker,
                mailbox,
                database,
                "db-",
                "--lost-after=4",
                done=done,
            )
        )
        wait_until(lambda: len(done()) == TASKS, 30, "all to be marked as done")


@only_wsgi
def test_no_task_in_redis_is_lost(
    project, env, start_worker, tmp_path, break_promise, report
):
    # Kombu waits for an hour before it takes a worker for dead, and looks for such every 100 s.
    impatience = (
        '"socket_timeout": 2, "visibility_timeout": 4, "unacked_restore_throttle": 1'
    )
    impatient = break_promise("config/celery.py", '"socket_timeout": 2', impatience)
    with (
        Mailbox(tmp_path / "mail") as mailbox,
        Redis(tmp_path / "broker", keeps=True) as broker,
    ):
        report(
            drill(
                impatient,
                env | {"CELERY_BROKER_URL": broker.url},
                start_worker,
                mailbox,
                broker,
                "redis-",
            )
        )


@only_wsgi
def test_no_task_in_rabbitmq_is_lost(
    project, env, start_worker, tmp_path, services, report
):
    broker = services.rabbitmq
    with Mailbox(tmp_path / "mail") as mailbox:
        report(
            drill(
                project,
                env | {"CELERY_BROKER_URL": broker.url},
                start_worker,
                mailbox,
                broker,
                "rabbit-",
            )
        )


@only_wsgi
def test_tasks_that_are_acknowledged_too_early_are_noticed(
    project, env, start_worker, tmp_path, services, break_promise
):
    broken = break_promise(
        "config/celery.py", "task_acks_late=True", "task_acks_late=False"
    )
    broker = services.rabbitmq
    with (
        Mailbox(tmp_path / "mail") as mailbox,
        pytest.raises(AssertionError, match="lost"),
    ):
        drill(
            broken,
            env | {"CELERY_BROKER_URL": broker.url},
            start_worker,
            mailbox,
            broker,
            "early-",
            limit=20,
        )


@only_wsgi
def test_worker_that_is_stopped_among_its_tasks_ends(
    project, env, start_worker, tmp_path, report
):
    with Redis(tmp_path / "broker") as broker:
        slowest = stop_among_tasks(
            project, env | {"CELERY_BROKER_URL": broker.url}, start_worker, stops=4
        )
    report(f"celery, stopped among its tasks: ends within {slowest:.0f} s")


def stop_among_tasks(project, env: dict[str, str], start_worker, stops: int) -> float:
    """The seconds that the slowest of some stops took, each while tasks begin and end all the time."""
    enqueue = "from apps.users.tasks import send_welcome_mail as t\nfor _ in range(2000): t.delay(0)"
    project.manage("shell", "--no-imports", "-c", enqueue, env=env)
    slowest = 0.0
    for _ in range(stops):
        worker = start_worker(project, env, "--concurrency=8")
        worker.wait_for(
            lambda worker=worker: worker.log.count("no welcome mail") > 100,
            60,
            "tasks to run",
        )
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        try:
            assert worker.wait(40) == 0
        except TimeoutError:
            raise AssertionError(f"the worker does not end\n{worker.log}") from None
        slowest = max(slowest, time.monotonic() - began)
    return slowest


def drill(
    project,
    env: dict[str, str],
    start_worker,
    mailbox: Mailbox,
    broker,
    prefix: str,
    *options,
    done=set,
    limit=45,
) -> str:
    env = env | {"EMAIL_URL": f"smtp://127.0.0.1:{mailbox.port}"}
    expected = {f"{prefix}{number}@shop.test" for number in range(TASKS)}
    mailbox.hold()
    project.manage(
        "shell",
        "--no-imports",
        "-c",
        CREATE.format(prefix=prefix, count=TASKS),
        env=env,
    )

    killed = start_worker(project, env, *options)
    killed.wait_for(mailbox.arrived.is_set, 30, "a task to be under way")
    os.killpg(killed.pid, signal.SIGKILL)
    assert not done(), "a task is marked as done whose mail was never taken"

    mailbox.hold()
    worker = start_worker(project, env, *options)
    worker.wait_for(mailbox.arrived.is_set, 30, "the next task to be under way")
    broker.restart()
    mailbox.release()

    def arrived() -> set[str]:
        return {message["To"] for message in mailbox.messages} & expected

    try:
        worker.wait_for(lambda: arrived() == expected, limit, "all mails")
    except TimeoutError:
        raise AssertionError(f"lost: {expected - arrived()}\n{worker.log}") from None
    twice = sum(message["To"] in expected for message in mailbox.messages) - TASKS
    return f"{project.answers['task_queue']} in {type(broker).__name__}: {TASKS} of {TASKS} done, {twice} of them twice"
