"""The mail that greets a new user."""

from email.utils import parseaddr
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from apps.users.models import User


def welcome(
    instance: User, created: bool, using: str, raw: bool = False, **kwargs: Any
) -> None:
    """A receiver of ``post_save``: enqueue the mail once the new user is committed.

    With ``robust`` a queue that is away is logged as an error and does not cost the user.
    https://docs.djangoproject.com/en/stable/topics/db/transactions/#performing-actions-after-commit
    """
    from apps.users.tasks import send_welcome_mail

    if created and instance.email and not raw:
        # %if cookiecutter.task_queue == "celery"
        enqueue = partial(send_welcome_mail.delay, instance.pk)
        # %else
        enqueue = partial(send_welcome_mail.enqueue, instance.pk)
        # %endif
        transaction.on_commit(enqueue, using=using, robust=True)


def compose_welcome_mail(user: User) -> EmailMessage:
    """The same message each time, with the same id: mail servers can tell a second delivery by it (RFC 5322, 3.6.4)."""
    context = {"project_name": settings.PROJECT_NAME, "user": user}
    sender_domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    message_id = f"welcome.{user.pk}.{user.date_joined:%Y%m%d%H%M%S%f}@{sender_domain}"
    return EmailMessage(
        subject=f"Welcome to {settings.PROJECT_NAME}",
        body=render_to_string("mail/welcome.txt", context),
        to=[user.email],
        headers={"Message-ID": f"<{message_id}>"},
    )
