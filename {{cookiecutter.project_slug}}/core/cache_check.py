"""Whether the cache server answers."""

import secrets

from django.core.cache import cache as default_cache


def cache() -> None:
    """Read back what was written: a cache that hides its outages answers every read with nothing."""
    written = secrets.token_hex(8)
    # A key of its own: every worker of every instance checks, and would read what another has written meanwhile.
    key = f"readiness-{written}"
    default_cache.set(key, written, timeout=10)
    if default_cache.get(key) != written:
        raise ConnectionError("the cache does not keep what is written to it")
