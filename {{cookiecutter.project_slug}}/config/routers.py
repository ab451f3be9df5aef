"""Keeps writes and migrations on the primary database where DATABASE_REPLICA_URL names a read replica."""

from typing import Any

from django.db.models import Model


class ReplicaRouter:
    """Reads go to the replica where the code asks for it: ``Model.objects.using("replica")``.

    A replica lags behind, so it is never chosen for a read that has to see what was just written.
    https://docs.djangoproject.com/en/stable/topics/db/multi-db/
    """

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return "default"

    def allow_relation(self, first: Model, second: Model, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "default"
