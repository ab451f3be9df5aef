"""What an instance depends on. A check raises, or takes longer than it may, where the dependency is down."""

from django.db import close_old_connections, connection


def database() -> None:
    """One query through the connection that a request would use."""
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        close_old_connections()
