"""Connects the request id to Django's signals."""

from django.apps import AppConfig
from django.core.signals import request_finished

from apps.observability.request_ids import end_request


class ObservabilityConfig(AppConfig):
    name = "apps.observability"

    def ready(self) -> None:
        request_finished.connect(end_request, dispatch_uid="end_request")
