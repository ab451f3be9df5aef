"""The lines of a task have the id of the request that enqueued it."""

from typing import Any

from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.tasks import TaskResultStatus
from django.tasks.signals import task_finished
from django_tasks_db import DatabaseBackend

from core.logs import request_id

STORED_TASK = "django_tasks_database.DBTaskResult"


@receiver(pre_save, sender=STORED_TASK)
def keep_request_id(instance: Any, **kwargs: Any) -> None:
    """Keep it beside the arguments, where the task does not see it."""
    if instance.enqueued_at is None:
        instance.args_kwargs["request_id"] = request_id.get()


@receiver(post_save, sender=STORED_TASK)
def take_up_request_id(instance: Any, **kwargs: Any) -> None:
    """A worker marks a task as running before it writes the first line about it."""
    if instance.status == TaskResultStatus.RUNNING:
        request_id.set(instance.args_kwargs.get("request_id"))


@receiver(task_finished, sender=DatabaseBackend)
def leave_request(**kwargs: Any) -> None:
    """Connected after Django's own receiver, which writes the last line."""
    request_id.set(None)
