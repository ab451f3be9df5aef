"""What an instance depends on. A check raises, or takes longer than it may, where the dependency is down."""

import secrets

from django.core.cache import cache as default_cache
from django.db import close_old_connections, connection


def database() -> None:
    """One query through the connection that a request would use."""
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        close_old_connections()


def cache() -> None:
    """Read back what was written: a cache that hides its outages answers every read with nothing."""
    written = secrets.token_hex(8)
    default_cache.set("readiness", written, timeout=10)
    if default_cache.get("readiness") != written:
        raise ConnectionError("the cache does not keep what is written to it")
