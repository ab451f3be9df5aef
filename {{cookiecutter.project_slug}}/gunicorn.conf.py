"""The configuration of Gunicorn, which finds this file by its name.

https://docs.gunicorn.org/en/stable/settings.html
"""

import os
from pathlib import Path

from django.conf import settings
from django.db import connection

from config import server

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

# %if cookiecutter.metrics == "prometheus"
# The hooks that count for all workers together.
from config.metrics_server import child_exit, post_fork, when_ready  # noqa: F401

# %endif
# %if cookiecutter.interface == "wsgi"
wsgi_app = "config.wsgi"
worker_class = "gthread"
threads = server.THREADS
# %else
wsgi_app = "config.asgi:application"
worker_class = "config.uvicorn_worker.Worker"
# %endif
workers = server.WORKERS
bind = f"{server.HOST}:{server.PORT}"
# Load the application once: the workers share its memory.
preload_app = True
logconfig_dict = settings.LOGGING

# Seconds after which a worker that gives no sign of life is replaced.
timeout = 30
graceful_timeout = server.GRACEFUL_TIMEOUT
keepalive = server.KEEPALIVE
# %if cookiecutter.interface == "wsgi" and cookiecutter.metrics != "prometheus"
# Replace a worker after so many requests: a memory leak stays small.
max_requests = 100_000
max_requests_jitter = 20_000
# %endif

# The heartbeat must not wait for a slow disk.
# https://docs.gunicorn.org/en/stable/faq.html#blocking-os-fchmod
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True


def on_starting(arbiter):
    """Take traffic, also if an instance drained here before."""
    if settings.READ_ONLY:
        # The start ends here unless the database confirms it.
        connection.ensure_connection()
        connection.close()
        # %if cookiecutter.database == "postgresql"
        connection.close_pool()
        # %endif
    if settings.DRAIN_FILE.exists():
        settings.DRAIN_FILE.unlink()
        arbiter.log.warning("%s was left from before: removed", settings.DRAIN_FILE)


# %if cookiecutter.metrics == "opentelemetry"
def post_worker_init(worker):
    """Begin to send traces and metrics, if a collector is named."""
    if settings.OTEL_ENDPOINT:
        from core import telemetry

        telemetry.start()


def worker_exit(server, worker):
    """Send the last traces and metrics."""
    if settings.OTEL_ENDPOINT:
        from core import telemetry

        telemetry.stop()


# %endif
# core.proxies reads the headers of the proxy; no header changes the path.
forwarded_allow_ips = ""
forwarder_headers = ""
