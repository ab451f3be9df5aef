"""Registers the project's deploy checks."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "apps.operations"

    def ready(self) -> None:
        from apps.operations import checks  # noqa: F401 - registers them
