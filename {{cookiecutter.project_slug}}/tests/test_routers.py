"""Writes and migrations stay on the primary database; a read goes to the replica where the code asks for it."""

from django.db.utils import ConnectionRouter

from apps.users.models import User

router = ConnectionRouter(["config.routers.ReplicaRouter"])


def test_the_primary_database_is_the_default() -> None:
    assert router.db_for_read(User) == "default"
    assert router.db_for_write(User) == "default"


def test_what_was_read_from_the_replica_is_written_to_the_primary_database() -> None:
    assert User.objects.using("replica").db == "replica"
    assert router.db_for_write(User, instance=from_replica()) == "default"
    assert router.allow_relation(User(), from_replica())


def test_the_replica_is_never_migrated() -> None:
    assert router.allow_migrate("default", "users") is True
    assert router.allow_migrate("replica", "users") is False


def from_replica() -> User:
    user = User()
    user._state.db = "replica"
    return user
