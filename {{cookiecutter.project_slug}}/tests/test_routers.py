"""A read replica serves the reads that name it, and nothing else."""

from django.db import router
from pytest_django.fixtures import Settings

from apps.users.models import User


def test_writes_and_migrations_stay_on_the_primary_database(settings: Settings) -> None:
    settings.DATABASE_ROUTERS = ["config.routers.ReplicaRouter"]
    from_replica = User.from_db("replica", [], [])
    assert User.objects.using("replica").db == "replica"
    assert router.db_for_read(User) == "default"
    assert router.db_for_write(User, instance=from_replica) == "default"
    assert router.allow_relation(User(), from_replica)
    assert not router.allow_migrate("replica", "users")
