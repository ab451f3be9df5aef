"""Celery's pool of processes, which waits at its end for every task that one of them has.

https://docs.celeryq.dev/en/stable/userguide/configuration.html#worker-pool
"""

from collections import deque
from typing import Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool


class Processes(AsynPool):
    _cache: dict[int, Any]
    outbound_buffer: deque[Any]

    def flush(self) -> None:
        """Forget what no process has begun, when the worker stops or has lost its broker.

        Celery takes for begun what a process has said to have begun, and reads no results any more once it waits for
        none. But one that is about to say so ends only when its last result is read: after 30 s, or, where that is a
        traceback larger than the pipe, never.
        """
        for job in self._cache.values():
            if job._write_to and job._write_to._is_alive() and job not in self.outbound_buffer:
                job._accepted = True
        super().flush()


class Pool(TaskPool):
    Pool = Processes
