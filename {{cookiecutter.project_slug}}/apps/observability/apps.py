"""Connects the request id to Django's signals."""

from django.apps import AppConfig
from django.core.signals import request_finished

from apps.observability.request_ids import end_request


class ObservabilityConfig(AppConfig):
    name = "apps.observability"

    def ready(self) -> None:
        # %if cookiecutter.task_queue == "celery"
        from config import celery  # noqa: F401 - the application that every shared_task belongs to

        # %endif
        request_finished.connect(end_request, dispatch_uid="end_request")
        # %if cookiecutter.task_queue == "database"
        from apps.observability import task_ids  # noqa: F401 - connects the request id to the tasks
        # %endif
