"""Tasks are enqueued on commit, with the id of their request, and run."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.users.models import User
from apps.users.tasks import send_welcome_mail
from config.celery import app
from config.settings import base

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


@pytest.fixture
def queue(
    admin_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Return the tasks that wait in memory; in other tests they run at once."""
    settings.WELCOME_MAIL = True
    monkeypatch.setitem(app.conf, "task_always_eager", False)
    with app.connection() as connection, connection.SimpleQueue("celery") as waiting:
        yield waiting


# %if cookiecutter.accounts == "allauth"
def confirm_address(client: Client) -> None:
    """Confirm the address of a user who has signed up."""
    from allauth.account.models import EmailAddress, EmailConfirmationHMAC

    user = User.objects.create(email=ADA)
    address = EmailAddress.objects.create(user=user, email=ADA, primary=True)
    link = reverse("account_confirm_email", args=[EmailConfirmationHMAC(address).key])
    client.post(link, headers={"x-request-id": "quote-me"})


# %endif
def test_a_request_enqueues_a_task_with_its_id(
    admin_client: Client, queue: Any
) -> None:
    # %if cookiecutter.accounts == "allauth"
    confirm_address(admin_client)
    # %else
    add = reverse("admin:users_user_add")
    admin_client.post(add, FORM, headers={"x-request-id": "quote-me"})
    # %endif
    message = queue.get(timeout=5)
    assert message.headers["request_id"] == "quote-me"
    app.tasks[message.headers["task"]](*message.payload[0])
    assert mail.outbox[-1].to == [ADA]


def test_a_transaction_that_is_rolled_back_enqueues_nothing(queue: Any) -> None:
    with transaction.atomic():
        # %if cookiecutter.accounts == "allauth"
        confirm_address(Client())
        # %else
        User.objects.create(email=ADA)
        # %endif
        transaction.set_rollback(True)
    assert queue.qsize() == 0


def test_new_users_get_no_mail_unless_it_is_switched_on(
    queue: Any, settings: Settings
) -> None:
    settings.WELCOME_MAIL = base.WELCOME_MAIL
    # %if cookiecutter.accounts == "allauth"
    confirm_address(Client())
    # %else
    User.objects.create(email=ADA)
    # %endif
    assert queue.qsize() == 0


def test_a_task_that_waits_longer_than_the_broker_is_refused(queue: Any) -> None:
    later = timezone.now() + timedelta(hours=2)
    with pytest.raises(ValueError, match="1200 seconds"):
        send_welcome_mail.apply_async((0,), countdown=7200)
    with pytest.raises(ValueError, match="1200 seconds"):
        send_welcome_mail.apply_async((0,), eta=later)
    send_welcome_mail.apply_async((0,), countdown=1200)
    assert queue.get(timeout=5).headers["eta"]


def test_every_scheduled_task_exists() -> None:
    app.autodiscover_tasks(force=True)
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert scheduled <= app.tasks.keys()
