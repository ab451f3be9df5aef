"""A new user may get a mail: an example of a task that a transaction enqueues."""

from functools import partial
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import transaction


class UsersConfig(AppConfig):
    name = "apps.users"

    def ready(self) -> None:
        # %if cookiecutter.accounts == "none"
        from django.db.models.signals import post_save

        post_save.connect(welcome, sender="users.User")


def welcome(instance: Any, created: bool, using: str, raw: bool, **kw: Any) -> None:
    """Enqueue the mail once the new user is committed.

    With ``robust`` a queue that is away is logged as an error and does not cost the user.
    https://docs.djangoproject.com/en/stable/topics/db/transactions/#performing-actions-after-commit
    """
    if settings.WELCOME_MAIL and created and instance.email and not raw:
        from apps.users.tasks import send_welcome_mail  # which imports the models

        # %if cookiecutter.task_queue == "celery"
        enqueue = partial(send_welcome_mail.delay, instance.pk)
        # %else
        enqueue = partial(send_welcome_mail.enqueue, instance.pk)
        # %endif
        transaction.on_commit(enqueue, using=using, robust=True)
        # %else
        from allauth.account.signals import email_confirmed, user_signed_up

        email_confirmed.connect(welcome)
        user_signed_up.connect(welcome)


def welcome(user: Any = None, email_address: Any = None, **kw: Any) -> None:
    """Enqueue the mail once a user has confirmed the first address.

    With ``robust`` a queue that is away is logged as an error and does not cost the page.
    https://docs.djangoproject.com/en/stable/topics/db/transactions/#performing-actions-after-commit
    """
    person = user or email_address.user
    confirmed = person.emailaddress_set.filter(verified=True)
    if settings.WELCOME_MAIL and confirmed.count() == 1:
        from apps.users.tasks import send_welcome_mail  # which imports the models

        # %if cookiecutter.task_queue == "celery"
        enqueue = partial(send_welcome_mail.delay, person.pk)
        # %else
        enqueue = partial(send_welcome_mail.enqueue, person.pk)
        # %endif
        transaction.on_commit(enqueue, robust=True)
        # %endif
