"""Connects the kit to Django when it starts."""

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created


# %if cookiecutter.interface == "wsgi"
def end_request(**kwargs: Any) -> None:
    """Forget the id: the thread's next request must not log under it."""
    from core.logs import request_id

    request_id.set(None)


# %endif
def confirm_read_only(connection: Any, **kwargs: Any) -> None:
    """End the process if a new connection may write.

    A pooler may have dropped the settings of the session in silence.
    """
    with connection.cursor() as cursor:
        # %if cookiecutter.database == "postgresql"
        cursor.execute("SHOW transaction_read_only")
        # %elif cookiecutter.database == "mysql"
        # MySQL has transaction_read_only, MariaDB before 11.1 only tx_read_only.
        cursor.execute("SHOW VARIABLES LIKE 't%read_only'")
        # %else
        cursor.execute("PRAGMA query_only")
        # %endif
        answer = cursor.fetchone()[-1]
    if answer not in ("on", "ON", 1):
        connection.close()
        raise SystemExit("DJANGO_READ_ONLY: this connection may write; avoid poolers")


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        import_module("core.checks")
        # %if cookiecutter.interface == "wsgi"
        from django.core.signals import request_finished

        request_finished.connect(end_request, dispatch_uid="end_request")
        # %endif
        if getattr(settings, "READ_ONLY", False):
            connection_created.connect(confirm_read_only)
        # %if cookiecutter.task_queue == "celery"
        import_module("config.celery")  # the application of every shared_task
        # %endif
        # %if cookiecutter.task_queue == "database"
        import_module("core.task_ids")
        # %endif
