"""A task waits for its request's commit, carries its id, and runs."""

# %if cookiecutter.task_queue == "celery"
from collections.abc import Iterator
from typing import Any
# %else
from contextvars import copy_context
# %endif

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import reverse
# %if cookiecutter.task_queue == "database"
from django_tasks_db.models import DBTaskResult
from pytest_django.fixtures import Settings
# %endif

from apps.users.models import User
# %if cookiecutter.task_queue == "celery"
from config.celery import app
# %else
from core.logs import request_id
# %endif

# Nothing is committed in the transaction that pytest-django puts around other tests.
pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@shop.test"


@pytest.fixture(autouse=True)
# %if cookiecutter.task_queue == "celery"
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the messages that wait; in other tests tasks run at once."""
    monkeypatch.setitem(app.conf, "task_always_eager", False)
    with app.connection() as connection, connection.SimpleQueue("celery") as waiting:
        waiting.clear()
        yield waiting
# %else
def queue(settings: Settings) -> None:
    """Let tasks wait in the database; in other tests they run at once."""
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
# %endif


# %if cookiecutter.task_queue == "celery"
def test_a_request_enqueues_a_task_that_carries_its_id(
    admin_client: Client, queue: Any
) -> None:
    add_a_user(admin_client, "quote-me")
    message = queue.get(timeout=5)
    assert message.headers["request_id"] == "quote-me"
    app.tasks[message.headers["task"]](*message.payload[0])
    assert [message.to for message in mail.outbox] == [[ADA]]


def test_a_transaction_that_is_rolled_back_enqueues_nothing(queue: Any) -> None:
    with transaction.atomic():
        User.objects.create(email=ADA)
        transaction.set_rollback(True)
    assert queue.qsize() == 0


def test_every_scheduled_task_exists() -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert scheduled <= app.tasks.keys()
# %else
def test_a_request_enqueues_a_task_that_carries_its_id(admin_client: Client) -> None:
    add_a_user(admin_client, "quote-me")
    task = DBTaskResult.objects.get()
    worker = copy_context()
    worker.run(task.claim, "a worker")
    assert worker[request_id] == "quote-me"
    task.task.call(*task.args_kwargs["args"])
    assert [message.to for message in mail.outbox] == [[ADA]]


def test_a_transaction_that_is_rolled_back_enqueues_nothing() -> None:
    with transaction.atomic():
        User.objects.create(email=ADA)
        transaction.set_rollback(True)
    assert not DBTaskResult.objects.exists()
# %endif


def add_a_user(client: Client, request_id: str) -> None:
    password = "correct horse battery"
    form = {"username": "ada", "email": ADA, "usable_password": "true"}
    form |= {"password1": password, "password2": password}
    add = reverse("admin:users_user_add")
    response = client.post(add, form, headers={"x-request-id": request_id})
    assert response.status_code == 302
