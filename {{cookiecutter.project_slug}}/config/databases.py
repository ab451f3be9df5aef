"""Options of the database's connections.

https://docs.djangoproject.com/en/stable/ref/databases/
"""

from typing import Any

# %if cookiecutter.database == "postgresql"
from django.db import connections
from psycopg import Error
from psycopg_pool import ConnectionPool

# %endif
# %if cookiecutter.database == "sqlite"
# Seconds that a writer waits for its turn.
TIMEOUT_S = 5


# %else
# Seconds that a request waits for a database that is down.
TIMEOUT_S = 2


# %endif
# %if cookiecutter.database == "postgresql"
def check_connection(connection: Any) -> None:
    """Check a connection that leaves its pool; if it is broken, replace all in there.

    After a restart of the server all are broken. The pool itself would replace one at a
    time, and pause 0, 1, 2… seconds in between: longer than TIMEOUT_S.
    """
    try:
        ConnectionPool.check_connection(connection)
    except Error:
        for database in connections.all():
            if pool := getattr(database, "pool", None):
                pool.drain()
        raise


# %endif
def connection_options(
    given: dict[str, Any],
    *,
    read_only: bool,
    # %if cookiecutter.database != "sqlite"
    statement_timeout_s: int,
    # %endif
    # %if cookiecutter.database == "postgresql"
    application_name: str,
    pgbouncer: bool,
    pool_max_size: int,
    # %endif
) -> dict[str, Any]:
    """Return OPTIONS for DATABASES; ``given`` are the options of the URL.

    The session's own settings come last: the URL must not lift them.
    """
    # %if cookiecutter.database == "sqlite"
    return {
        # Readers never wait for the writer. IMMEDIATE makes a writer wait for its turn:
        # a transaction that begins as a reader fails at once with "database is locked".
        "transaction_mode": "DEFERRED" if read_only else "IMMEDIATE",
        "timeout": TIMEOUT_S,
        **given,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
        + "; PRAGMA query_only=ON" * read_only,
    }
    # %endif
    # %if cookiecutter.database == "postgresql"
    session: dict[str, int | str] = {
        "statement_timeout": statement_timeout_s * 1000,
        "idle_in_transaction_session_timeout": 60_000,
    }
    if read_only:
        session["default_transaction_read_only"] = "on"
    # PgBouncer refuses them, or drops them in silence.
    arguments = [f"-c {key}={value}" for key, value in session.items() if not pgbouncer]
    pool = {
        "min_size": 1,
        "max_size": pool_max_size,
        "timeout": TIMEOUT_S,
        "check": check_connection,
        # Try to connect each second: the pool's own pauses grow longer and longer.
        "reconnect_timeout": 1,
    }
    return {
        "application_name": application_name,
        "connect_timeout": TIMEOUT_S,
        # Give up a peer that no longer answers after 15 s, not 15 minutes.
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 30,
        **given,
        "options": " ".join([given.get("options", ""), *arguments]),
        "pool": pool if pool_max_size else False,
    }
    # %endif
    # %if cookiecutter.database == "mysql"
    # Only MySQL reads the first comment; it counts in milliseconds. Only MariaDB reads
    # the second; it counts in seconds, and before 11.1 it has only tx_read_only.
    variables = (
        "sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')"
        ", innodb_lock_wait_timeout = 10, wait_timeout = 28800"
        f" /*!50708 , max_execution_time = {statement_timeout_s * 1000} */"
        f" /*M!100101 , max_statement_time = {statement_timeout_s} */"
    )
    if read_only:
        variables += " /*!50720 , transaction_read_only = ON */"
        variables += " /*M!100101 , tx_read_only = ON */"
    options = {
        "charset": "utf8mb4",
        "connect_timeout": TIMEOUT_S,
        **given,
        "init_command": f"SET {variables}",
    }
    if statement_timeout_s:
        # Give up a peer that does not answer soon after the end of its statement.
        options["read_timeout"] = statement_timeout_s + 5
    return options
    # %endif
