"""New users are welcomed by a task, which is enqueued on commit and runs at once in development and here."""

from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.core import mail
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.observability.request_ids import begin_request, current_request_id, end_request
from apps.users.models import User
from apps.users.tasks import send_welcome_mail

if TYPE_CHECKING:
    from pytest_django import DjangoCaptureOnCommitCallbacks

pytestmark = pytest.mark.django_db

ADA = "ada@shop.test"


def test_a_new_user_is_welcomed_once(django_capture_on_commit_callbacks: "DjangoCaptureOnCommitCallbacks") -> None:
    with django_capture_on_commit_callbacks(execute=True):
        user = User.objects.create(email=ADA, first_name="Ada")
        assert mail.outbox == []
    with django_capture_on_commit_callbacks(execute=True):
        user.save()
    [message] = mail.outbox
    assert message.to == [ADA]
    assert message.subject == f"Welcome to {settings.PROJECT_NAME}"
    assert message.body.startswith("Hello Ada,\n")
    assert settings.PROJECT_NAME in message.body


def test_a_superuser_is_welcomed(django_capture_on_commit_callbacks: "DjangoCaptureOnCommitCallbacks") -> None:
    names = {"email": ADA, User.USERNAME_FIELD: ADA}
    with django_capture_on_commit_callbacks(execute=True):
        call_command("createsuperuser", interactive=False, verbosity=0, **names)
    assert [message.to for message in mail.outbox] == [[ADA]]


def test_a_user_who_is_added_in_the_admin_is_welcomed(
    admin_client: Client, django_capture_on_commit_callbacks: "DjangoCaptureOnCommitCallbacks"
) -> None:
    password = "correct horse battery"
    form = {"username": "ada", "email": ADA, "usable_password": "true", "password1": password, "password2": password}
    with django_capture_on_commit_callbacks(execute=True):
        response = admin_client.post(reverse("admin:users_user_add"), form)
    assert response.status_code == 302
    assert [message.to for message in mail.outbox] == [[ADA]]


def test_without_an_address_there_is_no_mail(
    django_capture_on_commit_callbacks: "DjangoCaptureOnCommitCallbacks",
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        User.objects.create(email="")
    assert callbacks == []


def test_a_user_who_is_rolled_back_is_not_welcomed(
    django_capture_on_commit_callbacks: "DjangoCaptureOnCommitCallbacks",
) -> None:
    with django_capture_on_commit_callbacks() as callbacks, transaction.atomic():
        User.objects.create(email=ADA)
        transaction.set_rollback(True)
    assert callbacks == []


def test_a_user_who_is_gone_by_then_gets_no_mail() -> None:
    # %if cookiecutter.task_queue == "celery"
    send_welcome_mail(0)
    # %else
    send_welcome_mail.call(0)
    # %endif
    assert mail.outbox == []


def test_a_second_delivery_is_the_same_message() -> None:
    user = User.objects.create(email=ADA)
    for _ in range(2):
        # %if cookiecutter.task_queue == "celery"
        send_welcome_mail(user.pk)
        # %else
        send_welcome_mail.call(user.pk)
        # %endif
    first, second = (message.message() for message in mail.outbox)
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith(f"@{settings.DEFAULT_FROM_EMAIL.rpartition('@')[2]}>")


def test_a_task_that_runs_at_once_leaves_the_request_its_id(
    django_capture_on_commit_callbacks: "DjangoCaptureOnCommitCallbacks",
) -> None:
    begin_request("a-request")
    with django_capture_on_commit_callbacks(execute=True):
        User.objects.create(email=ADA)
    assert mail.outbox
    assert current_request_id() == "a-request"
    end_request()
