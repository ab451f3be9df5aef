"""Liveness, readiness and draining, answered before Django checks hosts and redirects.

Probes come over plain HTTP, and their Host header is an address.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from concurrent import futures
from contextlib import suppress
from inspect import iscoroutinefunction
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import close_old_connections, connection
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.module_loading import import_string

from core.logs import PROBES, begin_request

LIVE, READY = PROBES
# An answer is used for a second: a flood of probes costs one query a second. A check
# has 1.5 s: probes commonly wait for 2 s.
LIFETIME_S, DEADLINE_S = 1.0, 1.5

type Run = tuple[futures.Future[None], float]  # and the seconds that it has left

logger = logging.getLogger(__name__)


def check_database() -> None:
    """Send one query; connect anew if the connection is broken."""
    connection.ensure_connection()
    if not connection.is_usable():
        connection.close()
        connection.ensure_connection()
    close_old_connections()


def check_cache() -> None:
    """Write a value and read it back, under a key that no other instance uses."""
    key = f"readiness-{secrets.token_hex(8)}"
    cache.set(key, key, timeout=10)
    if cache.get(key) != key:
        raise ConnectionError("the cache does not keep what is written to it")


class Check:
    """Run a function in a thread of its own, at most once in LIFETIME_S seconds.

    A server that never answers blocks that one thread, never a request.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self.function, self.lock = function, threading.Lock()
        self.thread = futures.ThreadPoolExecutor(max_workers=1)
        self.newest: futures.Future[None] | None = None
        self.started = 0.0

    def begin(self) -> Run:
        """Return the newest run; start another if that one has ended and is old."""
        with self.lock:
            age = monotonic() - self.started
            if not self.newest or (self.newest.done() and age >= LIFETIME_S):
                self.newest = self.thread.submit(self.function)
                self.started, age = monotonic(), 0.0
            return self.newest, max(0.0, DEADLINE_S - age)


paths = settings.READINESS_CHECKS
by_path = {path: Check(import_string(path)) for path in paths.values()}
CHECKS = {name: by_path[path] for name, path in paths.items()}
STATES = {True: "ok", False: "failing"}
told: dict[str, Any] = {}  # the last content that was logged


@sync_and_async_middleware
def health_middleware(get_response: Callable[[HttpRequest], Any]) -> Any:
    """Answer both probes; readiness within DEADLINE_S, whatever is down."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        begun = begin_all(request)
        for run, seconds in begun:
            futures.wait([run], seconds)
        return answer(request, begun) or get_response(request)

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        begun = begin_all(request)
        for run, seconds in begun:
            ended = asyncio.shield(asyncio.wrap_future(run))
            # What the check raises is looked at below.
            with suppress(Exception):
                await asyncio.wait_for(ended, seconds)
        return answer(request, begun) or await get_response(request)

    return serve_async if iscoroutinefunction(get_response) else serve


def begin_all(request: HttpRequest) -> list[Run]:
    return [check.begin() for check in CHECKS.values() if request.path_info == READY]


def answer(request: HttpRequest, begun: list[Run]) -> JsonResponse | None:
    """Answer a probe; 503 while a check fails or the instance drains.

    Pages work without the cache: the answer names its outage, and stays 200.
    """
    if request.path_info not in (LIVE, READY):
        return None
    headers = {"Cache-Control": "no-store", "X-Request-ID": begin_request(request.META)}
    content: dict[str, Any] = {"status": "ok"}
    if begun:
        passed = [run.done() and not run.exception() for run, _ in begun]
        states = {name: STATES[ok] for name, ok in zip(CHECKS, passed, strict=True)}
        # %if cookiecutter.metrics == "prometheus"
        from core import metrics

        for name, ok in zip(CHECKS, passed, strict=True):
            metrics.ready.labels(name).set(ok)
        # %endif
        if settings.DRAIN_FILE.exists():
            states["drain"] = "failing"
        if "failing" in [states[name] for name in states if name != "cache"]:
            content["status"] = "unavailable"
        content["checks"] = states
        if content != told:
            told.update(content)
            log = logger.warning if "failing" in states.values() else logger.info
            log("readiness is %(status)s", content, extra=content)
    is_ok = content["status"] == "ok"
    return JsonResponse(content, status=200 if is_ok else 503, headers=headers)
