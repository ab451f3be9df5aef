"""A new user may get a mail: an example of a task that a transaction enqueues."""

from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from apps.users.models import User
from apps.users.tasks import send_welcome_mail


@receiver(post_save, sender=User)
def welcome(
    instance: User, created: bool, using: str, raw: bool = False, **kwargs: Any
) -> None:
    """Enqueue the mail once the new user is committed.

    With ``robust`` a queue that is away is logged as an error and does not cost the user.
    https://docs.djangoproject.com/en/stable/topics/db/transactions/#performing-actions-after-commit
    """
    if settings.WELCOME_MAIL and created and instance.email and not raw:
        # %if cookiecutter.task_queue == "celery"
        enqueue = partial(send_welcome_mail.delay, instance.pk)
        # %else
        enqueue = partial(send_welcome_mail.enqueue, instance.pk)
        # %endif
        transaction.on_commit(enqueue, using=using, robust=True)
