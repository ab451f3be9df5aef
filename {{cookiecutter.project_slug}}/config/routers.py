"""Keep writes and migrations on the primary database, if there is a read replica."""

from typing import Any

from django.db.models import Model


class ReplicaRouter:
    """Read from the replica only where the code asks: ``objects.using("replica")``.

    A replica lags behind: a page after a form might not show the new row.
    https://docs.djangoproject.com/en/stable/topics/db/multi-db/
    """

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return "default"

    def allow_relation(self, first: Model, second: Model, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "default"
