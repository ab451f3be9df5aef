"""The project's own `migrate`: one at a time, and what fails is told in one line."""

import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from apps.operations.management.commands import migrate

WAITING = "another process migrates this database; waiting for it to end"


@pytest.mark.django_db(transaction=True)
def test_the_second_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = ExitStack()
    monkeypatch.setattr(migrate, "sleep", lambda seconds: first.close())
    with ExitStack() as sessions, first:
        first.enter_context(migrate.only_one(another_session(sessions, tmp_path)))
        with migrate.only_one(another_session(sessions, tmp_path)):
            assert caplog.messages == [WAITING]
        with migrate.only_one(another_session(sessions, tmp_path)):
            assert caplog.messages == [WAITING]


# %if cookiecutter.database != "sqlite"
class Session:
    """A session with a database server, and its own cursor: the lock is free at the third attempt."""

    vendor = "server"
    connection: str | None = "open"

    def __init__(self) -> None:
        self.answers = [0, None, 1]
        self.statements: list[str] = []

    def is_usable(self) -> bool:
        return self.connection == "open"

    def cursor(self) -> "Session":
        return self

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def execute(self, statement: str) -> None:
        self.statements.append(statement)

    def fetchone(self) -> tuple[int | None]:
        return (self.answers.pop(0),)


@pytest.mark.parametrize(("state", "unlocks"), [("open", [migrate.UNLOCK]), ("broken", []), (None, [])])
def test_a_session_that_is_gone_is_not_asked_to_unlock(
    monkeypatch: pytest.MonkeyPatch, state: str | None, unlocks: list[str]
) -> None:
    session = Session()
    monkeypatch.setattr(migrate, "sleep", lambda seconds: None)
    with migrate.only_one(session):
        assert session.statements == [migrate.LOCK] * 3
        session.connection = state
    assert session.statements[3:] == unlocks


# %endif
@pytest.mark.django_db
def test_a_look_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(migrate, "only_one")
    call_command("migrate", "--check", verbosity=0)
    call_command("migrate", "--plan", verbosity=0)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    session = connection.copy()
    session.settings_dict["NAME"] = tmp_path / "missing" / "db.sqlite3"
    with pytest.raises(sqlite3.OperationalError, match="unable to open"), migrate.hold_beside(session):
        pytest.fail("there was nothing to lock")


@pytest.mark.django_db
@pytest.mark.parametrize("verbosity", [0, 1])
def test_a_migration_that_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verbosity: int
) -> None:
    def fail(executor: Any, state: Any, migration: Any, **options: Any) -> None:
        executor.progress_callback("apply_start", migration)
        raise DataError("no such thing\nDETAIL: a value")

    call_command("migrate", "sessions", "zero", fake=True, verbosity=0)
    monkeypatch.setattr(MigrationExecutor, "apply_migration", fail)
    end = "was undone" if connection.features.can_rollback_ddl else "may be applied in part"
    with pytest.raises(CommandError, match=rf"^sessions.0001_initial failed and {end}: DataError: no such thing$"):
        call_command("migrate", "sessions", verbosity=verbosity)
    assert ("Applying sessions.0001_initial... FAILED\n" in capsys.readouterr().out) == bool(verbosity)


@pytest.mark.django_db
def test_a_database_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, *args: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(MigrationExecutor, "__init__", fail)
    with pytest.raises(CommandError, match=r"^the database failed: OperationalError: gone$"):
        call_command("migrate", verbosity=0)


@pytest.mark.django_db
def test_an_error_outside_of_migrations_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, *args: Any) -> None:
        raise ImportError("a migration's module")

    monkeypatch.setattr(MigrationExecutor, "__init__", fail)
    with pytest.raises(ImportError, match="a migration's module"):
        call_command("migrate", verbosity=0)


def another_session(stack: ExitStack, folder: Path) -> Any:
    session = connection.copy()
    if session.vendor == "sqlite":
        session.settings_dict["NAME"] = folder / "db.sqlite3"
    stack.callback(session.close)
    return session
