"""The address of the server, the number of its processes, its timeouts."""

import os
from math import ceil
from pathlib import Path

from config.env import env

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def count_cores() -> int:
    """Return the CPU cores within the container's limit, rounded up; at least 1.

    A container sees all cores of its host; its control group has the limit.
    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    if CPU_QUOTA.exists():
        quota, period = CPU_QUOTA.read_text().split()
        if quota != "max":
            cores = min(cores, ceil(int(quota) / int(period)))
    return cores


HOST = env.str("HOST", default="0.0.0.0")  # noqa: S104 - reached through a proxy
HOST = f"[{HOST.strip('[]')}]" if ":" in HOST else HOST
PORT = env.count("PORT", default=8000, minimum=1, maximum=65535)
# %if cookiecutter.interface == "wsgi"
# By default an instance takes at most 40 connections to the database.
# A worker takes five: one for each thread, and one for readiness.
WORKERS = env.count("WEB_CONCURRENCY", min(2 * count_cores() + 1, 8), minimum=1)
# %elif cookiecutter.database == "mysql"
WORKERS = env.count("WEB_CONCURRENCY", min(2 * count_cores() + 1, 40), minimum=1)
# %else
# By default an instance takes at most 40 connections to the database.
WORKERS = env.count("WEB_CONCURRENCY", min(2 * count_cores() + 1, 40), minimum=1)
# %endif
# %if cookiecutter.interface == "wsgi"
THREADS = env.count("WEB_THREADS", default=4, minimum=1)
# %endif
# Seconds; less than the 30 s after which an orchestrator kills the process.
GRACEFUL_TIMEOUT = env.count("GRACEFUL_TIMEOUT", default=25)
# Seconds; more than the idle timeout of load balancers (60 s): they close first.
KEEPALIVE = env.count("KEEPALIVE", default=65)
# %if cookiecutter.metrics == "prometheus"
METRICS_PORT = env.count("METRICS_PORT", default=9464, minimum=1, maximum=65535)
env.require("METRICS_PORT", METRICS_PORT != PORT, "must differ from PORT")
# %endif
