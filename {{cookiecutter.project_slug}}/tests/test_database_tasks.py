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

ADA = "ada@shop.test"
# %if cookiecutter.accounts == "none"
PASSWORD = "correct horse battery"
FORM = {
    "username": "ada",
    "email": ADA,
    "usable_password": "true",
    "password1": PASSWORD,
    "password2": PASSWORD,
}
# %endif

# Nothing is committed in the transaction that pytest-django puts around other tests.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def queue(admin_client: Client, settings: Settings) -> None:
    """Let tasks wait in the database; in other tests they run at once."""
    settings.WELCOME_MAIL = True
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


# %if cookiecutter.accounts == "allauth"
def confirm_address(client: Client) -> None:
    """Confirm the address of a user who has signed up."""
    from allauth.account.models import EmailAddress, EmailConfirmationHMAC

    user = User.objects.create(email=ADA)
    address = EmailAddress.objects.create(user=user, email=ADA, primary=True)
    link = reverse("account_confirm_email", args=[EmailConfirmationHMAC(address).key])
    client.post(link, headers={"x-request-id": "quote-me"})


# %endif
def test_a_request_enqueues_a_task_with_its_id(admin_client: Client) -> None:
    # %if cookiecutter.accounts == "allauth"
    confirm_address(admin_client)
    # %else
    add = reverse("admin:users_user_add")
    admin_client.post(add, FORM, headers={"x-request-id": "quote-me"})
    # %endif
    task = DBTaskResult.objects.get()
    worker = copy_context()
    worker.run(task.claim, "a worker")
    assert worker[request_id] == "quote-me"
    task.task.call(*task.args_kwargs["args"])
    assert mail.outbox[-1].to == [ADA]


def test_a_transaction_that_is_rolled_back_enqueues_nothing() -> None:
    with transaction.atomic():
        # %if cookiecutter.accounts == "allauth"
        confirm_address(Client())
        # %else
        User.objects.create(email=ADA)
        # %endif
        transaction.set_rollback(True)
    assert not DBTaskResult.objects.exists()


def test_new_users_get_no_mail_unless_it_is_switched_on(settings: Settings) -> None:
    settings.WELCOME_MAIL = base.WELCOME_MAIL
    # %if cookiecutter.accounts == "allauth"
    confirm_address(Client())
    # %else
    User.objects.create(email=ADA)
    # %endif
    assert not DBTaskResult.objects.exists()
