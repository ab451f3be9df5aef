"""How large the server is and where it listens."""

import os
from math import ceil
from pathlib import Path

from config.env import env

CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")


def count_cores() -> int:
    """The whole CPU cores that this process may use, within the container's limit; at least 1.

    A container sees all cores of its host: only its control group tells its share.
    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        if CGROUP_V2.exists():
            quota, period = CGROUP_V2.read_text().split()
        else:
            quota = CGROUP_V1.read_text().strip()
            period = CGROUP_V1.with_name("cpu.cfs_period_us").read_text().strip()
    except OSError:
        return available
    if quota in ("max", "-1"):
        return available
    return max(1, min(available, ceil(int(quota) / int(period))))


HOST = env.str("HOST", default="0.0.0.0")  # noqa: S104 - a container is reached from outside
PORT = env.int("PORT", default=8000)
env.require("PORT", 0 < PORT < 65536, "must be a port number from 1 to 65535")
WORKERS = env.count("WEB_CONCURRENCY", default=2 * count_cores() + 1, minimum=1)
# %if cookiecutter.interface == "wsgi"
THREADS = env.count("WEB_THREADS", default=4, minimum=1)
# %endif
# Below the 30 s that an orchestrator waits before it kills.
GRACEFUL_TIMEOUT_S = env.count("GRACEFUL_TIMEOUT", default=25)
# %if cookiecutter.metrics == "prometheus"
METRICS_PORT = env.int("METRICS_PORT", default=9464)
env.require("METRICS_PORT", 0 < METRICS_PORT < 65536, "must be a port number from 1 to 65535")
env.require("METRICS_PORT", METRICS_PORT != PORT, "must not be the port that PORT names")
# %endif
