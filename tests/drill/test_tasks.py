"""Tasks: a worker is killed during a task, and the broker restarts under the next one.

No task is lost, and no unfinished task is marked as done. Some tasks run twice, as the
documentation says. A worker that stops during tasks ends within 40 s: Celery may wait
30 s for a result that it no longer reads.
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
    name = "{prefix}" + str(number)
    User.objects.create(username=name, email=name + "@shop.test")
"""
DONE = """
from django_tasks_db.models import DBTaskResult
from apps.users.models import User
pks = [task.args_kwargs["args"][0] for task in DBTaskResult.objects.successful()]
users = User.objects.filter(pk__in=pks, username__startswith="{prefix}")
print(*users.values_list("email", flat=True))
"""
ENQUEUE = """
from apps.users.tasks import send_welcome_mail
for _ in range(2000):
    send_welcome_mail.delay(0)
"""


@only_asgi
def test_no_task_in_the_database_is_lost(
    project, env, start_worker, database, tmp_path, report
):
    def done() -> set[str]:
        script = DONE.format(prefix="db-")
        output = project.manage("shell", "--no-imports", "-c", script, env=env).stdout
        return set(output.split())

    with Mailbox(tmp_path / "mail") as mailbox:
        parts = (project, env, start_worker, mailbox, database, "db-")
        report(drill(*parts, "--lost-after=4", done=done))
        wait_until(lambda: len(done()) == TASKS, 30, "all to be marked as done")


@only_wsgi
def test_no_task_in_redis_is_lost(
    project, env, start_worker, tmp_path, break_promise, report
):
    # By default Kombu restores lost tasks after an hour, and checks every 100 s.
    timeout = '"socket_timeout": 2'
    soon = f'{timeout}, "visibility_timeout": 4, "unacked_restore_throttle": 1'
    impatient = break_promise("config/celery.py", timeout, soon)
    with (
        Mailbox(tmp_path / "mail") as mailbox,
        Redis(tmp_path / "broker", keeps=True) as broker,
    ):
        env = env | {"CELERY_BROKER_URL": broker.url}
        report(drill(impatient, env, start_worker, mailbox, broker, "redis-"))


@only_wsgi
def test_no_task_in_rabbitmq_is_lost(
    project, env, start_worker, tmp_path, services, report
):
    broker = services.rabbitmq
    env = env | {"CELERY_BROKER_URL": broker.url}
    with Mailbox(tmp_path / "mail") as mailbox:
        report(drill(project, env, start_worker, mailbox, broker, "rabbit-"))


@only_wsgi
def test_tasks_that_are_acknowledged_too_early_are_noticed(
    project, env, start_worker, tmp_path, services, break_promise
):
    broken = break_promise(
        "config/celery.py", "task_acks_late=True", "task_acks_late=False"
    )
    broker = services.rabbitmq
    env = env | {"CELERY_BROKER_URL": broker.url}
    with (
        Mailbox(tmp_path / "mail") as mailbox,
        pytest.raises(AssertionError, match="lost"),
    ):
        drill(broken, env, start_worker, mailbox, broker, "early-", limit=10)


@only_wsgi
@pytest.mark.parametrize("stops", [1, pytest.param(4, marks=pytest.mark.long)])
def test_worker_that_is_stopped_during_tasks_ends(
    project, env, start_worker, tmp_path, report, stops
):
    with Redis(tmp_path / "broker") as broker:
        env = env | {"CELERY_BROKER_URL": broker.url}
        slowest = stop_among_tasks(project, env, start_worker, stops)
    report(f"celery, stopped during tasks: ends within {slowest:.0f} s")


def stop_among_tasks(project, env: dict[str, str], start_worker, stops: int) -> float:
    """Stop a worker several times during tasks; return the seconds of the slowest."""
    project.manage("shell", "--no-imports", "-c", ENQUEUE, env=env)
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
    create = CREATE.format(prefix=prefix, count=TASKS)
    project.manage("shell", "--no-imports", "-c", create, env=env)

    killed = start_worker(project, env, *options)
    killed.wait_for(mailbox.arrived.is_set, 30, "a task to run")
    os.killpg(killed.pid, signal.SIGKILL)
    assert not done(), "a task without a delivered mail is marked as done"

    mailbox.hold()
    worker = start_worker(project, env, *options)
    worker.wait_for(mailbox.arrived.is_set, 30, "the next task to run")
    broker.restart()
    mailbox.release()

    def arrived() -> set[str]:
        return {message["To"] for message in mailbox.messages} & expected

    try:
        worker.wait_for(lambda: arrived() == expected, limit, "all mails")
    except TimeoutError:
        raise AssertionError(f"lost: {expected - arrived()}\n{worker.log}") from None
    twice = sum(message["To"] in expected for message in mailbox.messages) - TASKS
    queue = f"{project.answers['task_queue']} in {type(broker).__name__}"
    return f"{queue}: {TASKS} of {TASKS} done, {twice} of them twice"
