"""Django's `migrate`, one at a time: of several that start together, one works.

The others wait, and then find nothing left to do.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

from django.core.management.commands import migrate
from django.db import connections

# The session that migrates holds the lock: it ends with the last statement of a process
# that was killed. The others ask again and again: the statement timeout would end a
# statement that waits for the lock.
# %if cookiecutter.database == "postgresql"
# https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
TAKE = "SELECT pg_try_advisory_lock(hashtext('migrate'))"
RELEASE = "SELECT pg_advisory_unlock(hashtext('migrate'))"
# %endif
# %if cookiecutter.database == "mysql"
# https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
TAKE = "SELECT GET_LOCK(SHA1(CONCAT('migrate ', DATABASE())), 0)"
RELEASE = "SELECT RELEASE_LOCK(SHA1(CONCAT('migrate ', DATABASE())))"
# %endif
# %if cookiecutter.database == "postgresql"
POOLED = "PgBouncer strands the lock: use the server's URL, without DATABASE_PGBOUNCER"
# %endif

logger = logging.getLogger(__name__)


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        only_looks = options["plan"] or options["check_unapplied"]
        if only_looks or connection.vendor == "sqlite":
            super().handle(*args, **options)
            return
        # %if cookiecutter.database == "postgresql"
        if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            raise SystemExit(POOLED)
        # %endif
        with lock(connection):
            super().handle(*args, **options)


@contextmanager
def lock(connection: Any) -> Iterator[None]:
    if not ask(connection, TAKE):
        logger.warning("another process migrates this database; waiting for it to end")
        while not ask(connection, TAKE):
            sleep(0.5)
    try:
        yield
    finally:
        # A session that is gone holds no lock.
        if connection.is_usable():
            ask(connection, RELEASE)


def ask(connection: Any, statement: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return bool(cursor.fetchone()[0])
