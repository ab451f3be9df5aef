"""A cache whose server may go away: pages do without it, and the log says so once a minute.

An outage looks like an empty cache. Where the server does not even refuse, only the first caller waits for it:
without that pause a page pays for each of its cache calls with a whole timeout.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from threading import Lock
from time import monotonic
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.utils.module_loading import import_string

# Seconds: a failure that took longer was no refusal but a wait, and for how long nobody waits again.
SLOW_S = 0.1
PAUSE_S = 5.0
TELL_EVERY_S = 60.0

logger = logging.getLogger(__name__)


class Server:
    """What a process knows about the server: how to talk to it, and whether it is worth a try."""

    def __init__(self, location: Any, params: Mapping[str, Any]) -> None:
        backend = import_string(params["SERVER_BACKEND"])
        self.backend: BaseCache = backend(location, {**params, "OPTIONS": {**params.get("OPTIONS", {})}})
        self.errors = (OSError, *(import_string(error) for error in params["SERVER_ERRORS"]))
        self.next_try = 0.0
        self.next_line = 0.0

    def call(self, method: str, *arguments: Any, instead: Any, **options: Any) -> Any:
        """The answer of a method of the back end, or what stands for it during an outage."""
        began = monotonic()
        if self.next_try:
            if began < self.next_try:
                return instead
            self.next_try = began + PAUSE_S  # the others go on without, while this caller tries
        try:
            answer = getattr(self.backend, method)(*arguments, **options)
        except self.errors as error:
            now = monotonic()
            self.next_try = now + PAUSE_S if now - began > SLOW_S else 0.0
            self.tell(error, now)
            return instead
        self.next_try = 0.0
        return answer

    def tell(self, error: Exception, now: float) -> None:
        if now >= self.next_line:
            self.next_line = now + TELL_EVERY_S
            # A warning: Sentry would look through all installed packages for its first event, while a page waits.
            logger.warning("the cache fails, pages do without it: %s: %s", type(error).__name__, error)


class FailSafeCache(BaseCache):
    """Any cache back end of Django, named by SERVER_BACKEND, whose SERVER_ERRORS reach nobody.

    Django makes a cache for each thread or task; they share the server of their process and its connections.
    https://docs.djangoproject.com/en/stable/topics/cache/#accessing-the-cache
    """

    _servers: dict[tuple[int, str], Server] = {}  # noqa: RUF012 - shared on purpose
    _lock = Lock()

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._settings = location, params
        self._name = repr(self._settings)
        self.find_server()  # which imports its client

    def find_server(self) -> Server:
        """The server by process: what was opened before a fork must not be used after it."""
        key = os.getpid(), self._name
        if key not in self._servers:
            with self._lock:
                self._servers.setdefault(key, Server(*self._settings))
        return self._servers[key]

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self.find_server().call("get", key, default, version=version, instead=default)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        found: dict[Any, Any] = self.find_server().call("get_many", keys, version=version, instead={})
        return found

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return bool(self.find_server().call("has_key", key, version=version, instead=False))

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self.find_server().call("add", key, value, timeout, version=version, instead=False))

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        failed = object()
        if self.find_server().call("set", key, value, timeout, version=version, instead=failed) is failed:
            # A value that was refused, as too large for instance, must not leave an older one in its place.
            self.delete(key, version=version)

    def set_many(self, data: dict[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        failed: list[Any] = self.find_server().call("set_many", data, timeout, version=version, instead=list(data))
        return failed

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self.find_server().call("touch", key, timeout, version=version, instead=False))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """The new count; during an outage the first one."""
        count: int = self.find_server().call("incr", key, delta, version=version, instead=delta)
        return count

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self.find_server().call("delete", key, version=version, instead=False))

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        self.find_server().call("delete_many", keys, version=version, instead=None)

    def clear(self) -> None:
        self.find_server().call("clear", instead=None)
