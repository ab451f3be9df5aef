"""Connects the kit to Django when it starts."""

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.core.signals import request_finished


def end_request(**kwargs: Any) -> None:
    """Forget the id: the thread's next request must not log under it."""
    from core.logs import request_id

    request_id.set(None)


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        import_module("core.checks")
        request_finished.connect(end_request, dispatch_uid="end_request")
        # %if cookiecutter.task_queue == "celery"
        import_module("config.celery")  # the application of every shared_task
        # %endif
        # %if cookiecutter.task_queue == "database"
        import_module("core.task_ids")
        # %endif
