"""Django's `migrate`, one at a time: of several instances that start it together one works, and the others wait.

They find nothing left to do then. What fails is told in one line; `--traceback` shows the rest.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from time import sleep
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, connections
from django.db.migrations import Migration

PAUSE_S = 0.5

# %if cookiecutter.database == "postgresql"
# Each database has locks of its own. https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
LOCK = "SELECT pg_try_advisory_lock(hashtext('migrate'))"
UNLOCK = "SELECT pg_advisory_unlock(hashtext('migrate'))"

# %endif
# %if cookiecutter.database == "mysql"
# The server has one set of names, of 64 characters, for all databases.
# https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
LOCK = "SELECT GET_LOCK(SHA1(CONCAT('migrate ', DATABASE())), 0)"
UNLOCK = "SELECT RELEASE_LOCK(SHA1(CONCAT('migrate ', DATABASE())))"

# %endif
logger = logging.getLogger(__name__)


class Command(migrate.Command):
    under_way: Migration | None = None

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        only_looks = options["plan"] or options["check_unapplied"]
        try:
            with nullcontext() if only_looks else only_one(connection):
                super().handle(*args, **options)
        except CommandError:
            raise
        except Exception as error:
            if not self.under_way and not isinstance(error, (DatabaseError, sqlite3.Error)):
                raise
            raise CommandError(self.describe(error, connection)) from error

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        super().migration_progress_callback(action, migration, fake)
        self.under_way = migration if action in ("apply_start", "unapply_start") else None

    def describe(self, error: Exception, connection: Any) -> str:
        """One line: what follows the first line of a database's message may show values."""
        cause = f"{type(error).__name__}: {str(error).partition('\n')[0]}"
        if not self.under_way:
            return f"the database failed: {cause}"
        if self.verbosity:
            self.stdout.write(self.style.ERROR(" FAILED"))
        is_undone = self.under_way.atomic and connection.features.can_rollback_ddl
        return f"{self.under_way} failed and {'was undone' if is_undone else 'may be applied in part'}: {cause}"


def only_one(connection: Any) -> AbstractContextManager[None]:
    """Hold the lock of a database's migrations, once it is free."""
    # %if cookiecutter.database != "sqlite"
    if connection.vendor != "sqlite":
        return hold_in_session(connection)

    # %endif
    if connection.is_in_memory_db():
        return nullcontext()
    return hold_beside(connection)


# %if cookiecutter.database != "sqlite"
@contextmanager
def hold_in_session(connection: Any) -> Iterator[None]:
    """In the session that migrates: the lock ends with it, however it ends, and not while its last statement runs."""

    def take() -> bool:
        # A lock that waits by itself would be ended by the timeout of statements.
        with connection.cursor() as cursor:
            cursor.execute(LOCK)
            return bool(cursor.fetchone()[0])

    wait_until(take)
    try:
        yield
    finally:
        # A session that is gone holds no lock.
        if connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK)


# %endif
@contextmanager
def hold_beside(connection: Any) -> Iterator[None]:
    """On an empty file beside the database's own, by SQLite's means: on every system the lock ends with the process.

    On the database itself it would keep readers and the migrations themselves out.
    """
    path = f"{connection.settings_dict['NAME']}-migrate"
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as file:

        def take() -> bool:
            try:
                file.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                return False
            return True

        wait_until(take)
        yield


def wait_until(take: Callable[[], bool]) -> None:
    if take():
        return
    logger.warning("another process migrates this database; waiting for it to end")
    while not take():
        sleep(PAUSE_S)
