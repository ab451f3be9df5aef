"""Tasks are enqueued on commit, with the id of their request, and run."""

from contextvars import copy_context

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django_tasks_db.models import DBTaskResult
from pytest_django.fixtures import Settings

from apps.users.models import User
from config.settings import base
from core.logs import request_id

# Nothing is committed in the transaction that pytest-django puts around other tests.
pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@shop.test"
PASSWORD = "correct horse battery"
FORM = {
    "username": "ada",
    "email": ADA,
    "usable_password": "true",
    "password1": PASSWORD,
    "password2": PASSWORD,
}


@pytest.fixture(autouse=True)
def queue(admin_client: Client, settings: Settings) -> None:
    """Let tasks wait in the database; in other tests they run at once."""
    settings.WELCOME_MAIL = True
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


def test_a_request_enqueues_a_task_with_its_id(admin_client: Client) -> None:
    add = reverse("admin:users_user_add")
    admin_client.post(add, FORM, headers={"x-request-id": "quote-me"})
    task = DBTaskResult.objects.get()
    worker = copy_context()
    worker.run(task.claim, "a worker")
    assert worker[request_id] == "quote-me"
    task.task.call(*task.args_kwargs["args"])
    assert mail.outbox[-1].to == [ADA]


def test_a_transaction_that_is_rolled_back_enqueues_nothing() -> None:
    with transaction.atomic():
        User.objects.create(email=ADA)
        transaction.set_rollback(True)
    assert not DBTaskResult.objects.exists()


def test_new_users_get_no_mail_unless_it_is_switched_on(settings: Settings) -> None:
    settings.WELCOME_MAIL = base.WELCOME_MAIL
    User.objects.create(email=ADA)
    assert not DBTaskResult.objects.exists()
