"""Asks the dependencies, however many probes arrive: in the background, once a second at most."""

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from time import monotonic

from django.conf import settings
from django.utils.module_loading import import_string

LIFETIME_S = 1.0
# Probes commonly wait for 2 s. Shorter, and a machine that is busy would seem to have lost its dependencies.
DEADLINE_S = 1.5


class Check:
    """Runs a function in a thread of its own and remembers for a second whether it raised.

    A dependency that does not answer at all holds up that one thread, never a worker.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._runs: queue.SimpleQueue[Future[bool]] = queue.SimpleQueue()
        self._newest: Future[bool] | None = None
        self._started = 0.0

    def newest_run(self) -> tuple[Future[bool], float]:
        """The newest run, begun now if the one before is over and old, and the seconds that it may still take."""
        with self._lock:
            now = monotonic()
            if self._newest is None:
                threading.Thread(target=self._work, name="readiness", daemon=True).start()
            if self._newest is None or (self._newest.done() and now >= self._started + LIFETIME_S):
                self._newest, self._started = Future(), now
                self._runs.put(self._newest)
            return self._newest, max(0.0, self._started + DEADLINE_S - now)

    def _work(self) -> None:
        while True:
            run = self._runs.get()
            try:
                self._function()
            except Exception:  # noqa: BLE001 - whatever a driver raises, the dependency is not usable
                run.set_result(False)
            else:
                run.set_result(True)

    def passes(self) -> bool:
        run, seconds = self.newest_run()
        try:
            return run.result(timeout=seconds)
        except TimeoutError:
            return False

    async def passes_async(self) -> bool:
        run, seconds = self.newest_run()
        if run.done():
            return run.result()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(run)), seconds)
        except TimeoutError:
            return False


@cache
def find_checks() -> dict[str, Check]:
    """The checks of READINESS_CHECKS by name; names with the same function share one check."""
    functions = {path: Check(import_string(path)) for path in settings.READINESS_CHECKS.values()}
    return {name: functions[path] for name, path in settings.READINESS_CHECKS.items()}


def start_checks() -> dict[str, Check]:
    """The checks by name, all of them under way, so that whoever waits for each in turn waits DEADLINE_S in all."""
    checks = find_checks()
    for check in checks.values():
        check.newest_run()
    return checks


def all_pass() -> dict[str, bool]:
    """Whether each check passes, by name."""
    return {name: check.passes() for name, check in start_checks().items()}


async def all_pass_async() -> dict[str, bool]:
    return {name: await check.passes_async() for name, check in start_checks().items()}


def is_draining() -> bool:
    """Whether the instance was told to take no new traffic: ``touch`` the file named by DRAIN_FILE."""
    return os.path.exists(settings.DRAIN_FILE)  # noqa: PTH110 - a Path takes four times as long, in every probe
