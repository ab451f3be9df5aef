"""A task waits for its request's commit, carries its id, and runs."""

from contextvars import copy_context

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django_tasks_db.models import DBTaskResult
from pytest_django.fixtures import Settings

from apps.users.models import User
from core.logs import request_id

# Nothing is committed in the transaction that pytest-django puts around other tests.
pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@shop.test"


@pytest.fixture(autouse=True)
def queue(settings: Settings) -> None:
    """Let tasks wait in the database; in other tests they run at once."""
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


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


def add_a_user(client: Client, request_id: str) -> None:
    password = "correct horse battery"
    form = {"username": "ada", "email": ADA, "usable_password": "true"}
    form |= {"password1": password, "password2": password}
    add = reverse("admin:users_user_add")
    response = client.post(add, form, headers={"x-request-id": request_id})
    assert response.status_code == 302
