"""A new user may get a mail: an example of a task that a transaction enqueues."""

from functools import partial
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver


class UsersConfig(AppConfig):
    name = "apps.users"


@receiver(post_save, sender="users.User")
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
