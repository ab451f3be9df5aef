"""Gunicorn's configuration: found by name, so that `gunicorn` alone starts the server.

https://docs.gunicorn.org/en/stable/settings.html
"""

import logging.config
import os
from pathlib import Path

from django.conf import settings
from gunicorn import glogging

from config import server

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
LOGGING = settings.LOGGING  # loads the settings: a problem with the environment is told before anything starts


class Logger(glogging.Logger):
    """Gunicorn's own lines in the project's format; the access line comes from the observability middleware."""

    access_log_enabled = False

    def setup(self, cfg):
        super().setup(cfg)
        logging.config.dictConfig(LOGGING)


# %if cookiecutter.metrics == "opentelemetry"
def post_worker_init(worker):
    """Begin to send traces and metrics, where a collector is named."""
    if settings.OPENTELEMETRY:
        from apps.observability import telemetry

        telemetry.start()


# %endif
# %if cookiecutter.interface == "wsgi" and cookiecutter.metrics == "opentelemetry"
def stop_telemetry(server, worker):
    """Send what was measured last."""
    if settings.OPENTELEMETRY:
        from apps.observability import telemetry

        telemetry.stop()


# %endif
# %if cookiecutter.interface == "wsgi" and cookiecutter.database == "postgresql"
def close_pools(server, worker):
    """Close the pools, so that their connections are ended in order and their threads hold nothing up."""
    # %if cookiecutter.metrics == "opentelemetry"
    stop_telemetry(server, worker)
    # %endif
    from django.db import connections

    for connection in connections.all():
        if connection.vendor == "postgresql":
            connection.close_pool()


# %endif
# %if cookiecutter.interface == "wsgi"
wsgi_app = "config.wsgi"
# %else
wsgi_app = "config.asgi:application"
# %endif
bind = f"[{server.HOST}]:{server.PORT}" if ":" in server.HOST else f"{server.HOST}:{server.PORT}"
# %if cookiecutter.metrics == "prometheus"
# Hooks, and the folder in which the workers count.
from config.metrics_server import child_exit, find_folder, on_exit, post_fork, when_ready  # noqa: E402, F401

raw_env = [f"PROMETHEUS_MULTIPROC_DIR={find_folder()}"]
# %endif
logger_class = Logger

# The application is loaded once and its memory shared by the workers; they open connections after the fork.
preload_app = True
workers = server.WORKERS
# %if cookiecutter.interface == "wsgi"
worker_class = "config.thread_worker.Worker"
# %if cookiecutter.database == "postgresql"
worker_exit = close_pools
# %elif cookiecutter.metrics == "opentelemetry"
worker_exit = stop_telemetry
# %endif
threads = server.THREADS
# A worker is replaced after so many requests, each at another moment, which bounds what a leak can take.
max_requests = 100_000
max_requests_jitter = 20_000

# %else
# Not recycled: uvicorn loses about one request each time it replaces a worker under load.
worker_class = "config.uvicorn_worker.Worker"

# %endif
# Seconds: a worker that is silent for so long is replaced, requests in flight get so long to end, and an idle
# connection is kept for longer than load balancers keep it (60 s), so that they close it first.
timeout = 30
graceful_timeout = server.GRACEFUL_TIMEOUT_S
keepalive = 65

# The heartbeat file must not wait for a slow disk: https://docs.gunicorn.org/en/stable/faq.html
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
forwarded_allow_ips = ",".join(settings.FORWARDED_ALLOW_IPS)
