"""Options of the database's connections.

https://docs.djangoproject.com/en/stable/ref/databases/
"""

from typing import Any

# Seconds: while the database is away a request is held up for so long.
CONNECT_TIMEOUT_S = 2


# %if cookiecutter.database == "postgresql"
def postgresql_options(
    given: dict[str, Any],
    name: str,
    statement_timeout_s: int,
    *,
    read_only: bool,
    pool_max_size: int,
) -> dict[str, Any]:
    """Return OPTIONS for psycopg, with what the URL has ``given``.

    The session's own settings come last: the URL must not lift a timeout.
    """
    session: dict[str, int | str] = {
        "statement_timeout": statement_timeout_s * 1000,
        "idle_in_transaction_session_timeout": 60_000,
    }
    if read_only:
        session["default_transaction_read_only"] = "on"
    arguments = [f"-c {key}={value}" for key, value in session.items()]
    pool = {
        "min_size": 1,
        "max_size": pool_max_size,
        "timeout": CONNECT_TIMEOUT_S,
        # A connection is tried each second: by itself the pool waits ever longer.
        "reconnect_timeout": 1,
    }
    return {
        "application_name": name,
        "connect_timeout": CONNECT_TIMEOUT_S,
        # A peer that no longer answers is given up after 15 s, not 15 minutes.
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 30,
        **given,
        "options": " ".join([given.get("options", ""), *arguments]),
        "pool": pool if pool_max_size else False,
    }
# %endif
# %if cookiecutter.database == "mysql"
def mysql_options(
    given: dict[str, Any], statement_timeout_s: int, *, read_only: bool
) -> dict[str, Any]:
    """Return OPTIONS for mysqlclient, with what the URL has ``given``.

    The session's own settings come last: the URL must not lift a timeout.
    """
    # Only MySQL reads the first comment and counts in milliseconds, only MariaDB the
    # second and counts in seconds. Before 11.1 MariaDB has the old name of the third.
    session = (
        "sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')"
        ", innodb_lock_wait_timeout = 10, wait_timeout = 28800"
        f" /*!50708 , max_execution_time = {statement_timeout_s * 1000} */"
        f" /*M!100101 , max_statement_time = {statement_timeout_s} */"
    )
    if read_only:
        session += " /*!50720 , transaction_read_only = ON */"
        session += " /*M!100101 , tx_read_only = ON */"
    options = {
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_TIMEOUT_S,
        **given,
        "init_command": f"SET {session}",
    }
    if statement_timeout_s:
        # A peer that no longer answers is given up soon after its statement.
        options["read_timeout"] = statement_timeout_s + 5
    return options
# %endif
