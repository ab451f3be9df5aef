"""Hands the counts of all workers to Prometheus, on a port of their own, from a thread of Gunicorn's master.

Each worker counts in files of its own, which are read together here.
https://prometheus.github.io/client_python/multiprocess/
"""

import fcntl
import os
import shutil
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from config import server

PREFIX = "{{ cookiecutter.project_slug }}-metrics-"
# %if cookiecutter.interface == "wsgi"
CAPACITY = server.THREADS
# %else
CAPACITY = 1
# %endif
ENDED = "ended"  # stands where a worker's process id would stand in the name of a file

# Held while files are read or merged, and while a worker is forked, which would else inherit what the reader locked.
lock = threading.Lock()


@cache
def find_folder() -> Path:
    """This server's folder, made by the first call, in memory where that is possible; what killed servers left goes."""
    parent = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())  # noqa: S108
    for left in parent.glob(f"{PREFIX}*"):
        if left.stat().st_uid == os.getuid() and hold(left):
            shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    hold(folder)
    return folder


def hold(folder: Path) -> bool:
    """Lock a folder for as long as this process or a worker of it lives; False where another server holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


class Counts:
    """What all workers have counted, for a registry of the client library."""

    def collect(self) -> Iterator[Any]:
        from prometheus_client.multiprocess import MultiProcessCollector

        with lock:
            # A worker that begins has made its file, and not yet written its length.
            files = [str(file) for file in find_folder().glob("*.db") if file.stat().st_size]
            return iter(MultiProcessCollector.merge(files))


def when_ready(arbiter: Any) -> None:
    """Gunicorn's hook before the first worker: listen. A port that is taken ends the start."""
    # Only now: the library looks for the folder in the environment when it is imported.
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(Counts())
    arbiter.metrics_server, _ = start_http_server(server.METRICS_PORT, server.HOST, registry)
    # By default it writes a traceback to standard error; whoever leaves before the answer knows.
    arbiter.metrics_server.handle_error = lambda request, address: arbiter.log.debug("A scrape was given up")
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def post_fork(arbiter: Any, worker: Any) -> None:
    """Gunicorn's hook in a new worker: it counts towards what the server can do."""
    from apps.observability.metrics import capacity

    capacity.set(CAPACITY)


def child_exit(arbiter: Any, worker: Any) -> None:
    """Gunicorn's hook in the master for a worker that has ended: keep what it counted, not its files.

    They would add up: a worker is replaced after so many requests, and every scrape reads every file.
    """
    from prometheus_client.mmap_dict import MmapedDict
    from prometheus_client.multiprocess import mark_process_dead

    folder = find_folder()
    with lock:
        mark_process_dead(worker.pid, str(folder))
        for kind in ("counter", "histogram"):
            # Whatever a killed worker left, the server goes on.
            with suppress(OSError, RuntimeError, struct.error):
                add_up(MmapedDict, folder / f"{kind}_{worker.pid}.db", folder / f"{kind}_{ENDED}.db")


def add_up(dictionary: Any, file: Path, total: Path) -> None:
    """Add the values of a file to those of another one, and remove it."""
    values = list(dictionary.read_all_values_from_file(file))
    sums = dictionary(total)
    for key, value, timestamp, _ in values:
        sums.write_value(key, sums.read_value(key)[0] + value, timestamp)
    sums.close()
    file.unlink()


def on_exit(arbiter: Any) -> None:
    """Gunicorn's hook for its end: everything goes."""
    arbiter.metrics_server.shutdown()
    arbiter.metrics_server.server_close()
    shutil.rmtree(find_folder(), ignore_errors=True)
