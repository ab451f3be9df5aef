"""memcached, with connections that all threads of a process share."""

from typing import Any

from django.core.cache.backends.memcached import PyMemcacheCache
from pymemcache.client.hash import HashClient


class SteadyHashClient(HashClient):
    """Keeps every server in its place.

    pymemcache drops one that fails for a minute, and its books of them are not made for threads that fail at once:
    they raise KeyError.
    """

    def _mark_failed_server(self, server: Any) -> None:
        """The error itself goes to the caller."""


class MemcachedCache(PyMemcacheCache):
    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = SteadyHashClient
