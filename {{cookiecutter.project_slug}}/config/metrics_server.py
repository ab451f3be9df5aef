"""Answer Prometheus for all workers together, from a thread of the first process.

Each worker counts in files of its own, in a folder that is new with each start.
https://prometheus.github.io/client_python/multiprocess/
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

# %if cookiecutter.deployment in ("caddy", "nginx")
from django.conf import settings

# %endif
from config import server

# In memory where the files of all workers fit: each count is written there, and where
# no room is left, a process that counts is killed (SIGBUS).
NEEDED = server.WORKERS * 4 * 1024 * 1024  # bytes
MEMORY = "/dev/shm"  # noqa: S108
FITS = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= NEEDED
PREFIX = "{{ cookiecutter.project_slug }}-metrics-"
FOLDER = tempfile.mkdtemp(prefix=PREFIX, dir=MEMORY if FITS else None)
# Read when the client is imported, which no other module may do before this one.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = FOLDER

import prometheus_client as client  # noqa: E402
from prometheus_client import multiprocess  # noqa: E402

from core import metrics  # noqa: E402


def remove_folder(master: int) -> None:
    if os.getpid() == master:  # a worker that ends comes by here, too
        shutil.rmtree(FOLDER, ignore_errors=True)


atexit.register(remove_folder, os.getpid())


# %if cookiecutter.deployment in ("caddy", "nginx")
class Backups(client.registry.Collector):
    """When a backup, or a drill of one, went well; 0 after a drill that failed."""

    def collect(self) -> Iterator[client.Metric]:
        name = "django_backup_timestamp_seconds"
        times = client.Metric(name, "The last good one of a kind.", "gauge")
        for mark in settings.BACKUP_MARKS.glob("*"):
            times.add_sample(name, {"kind": mark.name}, mark.stat().st_mtime)
        yield times


# %endif
class Counts(client.registry.Collector):
    """Leave out the empty file that a worker has just made, or was killed at.

    https://github.com/prometheus/client_python/issues/1199
    """

    def collect(self) -> Iterator[client.Metric]:
        files = []
        for file in Path(FOLDER).glob("*.db"):
            with suppress(FileNotFoundError):  # its worker has just ended
                if file.stat().st_size:
                    files.append(str(file))
        yield from multiprocess.MultiProcessCollector.merge(files)


registry = client.CollectorRegistry()
# %if cookiecutter.deployment in ("caddy", "nginx")
registry.register(Backups())
# %endif
registry.register(Counts())


def when_ready(master: Any) -> None:
    """Listen before there are workers; a port that is taken ends the start."""
    client.start_http_server(server.METRICS_PORT, server.HOST.strip("[]"), registry)


# %if cookiecutter.task_queue == "celery"
class QueueLengths(client.registry.Collector):
    """Ask the broker at each scrape how many tasks wait; nothing while it is away."""

    def collect(self) -> list[client.Metric]:
        from config.celery import app

        waiting = client.Metric("django_tasks_waiting", "Tasks in a queue.", "gauge")
        with app.connection_for_read() as broker:
            for queue in app.amqp.queues:
                try:
                    channel: Any = broker.channel()
                    length = channel.queue_declare(queue, passive=True).message_count
                except broker.channel_errors:  # Redis has no empty queue
                    length = 0
                except broker.connection_errors:
                    break
                waiting.add_sample(waiting.name, {"queue": queue}, length)
        return [waiting]


def serve_worker(sender: Any, **kwargs: Any) -> None:
    """Answer for the processes of a Celery worker, which run already."""
    for name in sender.app.tasks:
        metrics.tasks.labels(name, "failure")  # a rate needs the zero before the first
    registry.register(QueueLengths())
    when_ready(sender)


# %endif
def child_exit(arbiter: Any, worker: Any) -> None:
    """Keep what an ended worker has counted, but not what it was at."""
    multiprocess.mark_process_dead(worker.pid)


def post_fork(arbiter: Any, worker: Any) -> None:
    """Add what the new worker can do at once."""
    # %if cookiecutter.interface == "wsgi"
    metrics.capacity.set(server.THREADS)
    # %else
    metrics.capacity.set(1)
    # %endif
