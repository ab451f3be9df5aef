"""Answer Prometheus for all workers together, from a thread of Gunicorn's master.

Each worker counts in files of its own, in a folder that is new with each start.
https://prometheus.github.io/client_python/multiprocess/
"""

import atexit
import os
import shutil
import tempfile
from typing import Any

from config import server

# In memory where possible: each count is written there.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
FOLDER = tempfile.mkdtemp(prefix="{{ cookiecutter.project_slug }}-metrics-", dir=MEMORY)
# Read when the client is imported, which no other module may do before this one.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = FOLDER

from prometheus_client import CollectorRegistry, multiprocess, start_http_server  # noqa: E402

from core.metrics import capacity  # noqa: E402


def remove_folder(master: int) -> None:
    if os.getpid() == master:  # a worker that ends comes by here, too
        shutil.rmtree(FOLDER, ignore_errors=True)


atexit.register(remove_folder, os.getpid())


def when_ready(arbiter: Any) -> None:
    """Listen before there are workers; a port that is taken ends the start."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_http_server(server.METRICS_PORT, server.HOST.strip("[]"), registry)


def child_exit(arbiter: Any, worker: Any) -> None:
    """Keep what an ended worker has counted, but not what it was at."""
    multiprocess.mark_process_dead(worker.pid)


def post_fork(arbiter: Any, worker: Any) -> None:
    """Add what the new worker can do at once."""
    # %if cookiecutter.interface == "wsgi"
    capacity.set(server.THREADS)
    # %else
    capacity.set(1)
    # %endif
