"""Gunicorn's configuration, which `gunicorn` finds by its name.

https://docs.gunicorn.org/en/stable/settings.html
"""

import os
# %if cookiecutter.metrics == "opentelemetry"
from importlib import import_module
# %endif
from pathlib import Path

from django.conf import settings

# %if cookiecutter.metrics == "prometheus"
from config import server
from config.metrics_server import child_exit, post_fork, when_ready  # noqa: F401 - hooks

# %else
from config import server

# %endif
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")


# %if cookiecutter.metrics == "opentelemetry"
def post_fork(server, worker):
    """Begin to send traces and metrics, where a collector is named."""
    if settings.OTEL_ENDPOINT:
        import_module("core.telemetry").start()


# %endif
# %if cookiecutter.interface == "asgi" and cookiecutter.database == "postgresql"
def worker_exit(server, worker):
    """End the connections of the pool in order."""
    # %if cookiecutter.metrics == "opentelemetry"
    if settings.OTEL_ENDPOINT:
        import_module("core.telemetry").stop()
    # %endif
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        if connection.vendor == "postgresql":
            connection.close_pool()


# %elif cookiecutter.metrics == "opentelemetry"
def worker_exit(server, worker):
    """Send the last ones."""
    if settings.OTEL_ENDPOINT:
        import_module("core.telemetry").stop()


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
# The application is loaded once and its memory is shared by the workers.
preload_app = True
logconfig_dict = settings.LOGGING

# A worker that is silent for so many seconds is replaced.
timeout = 30
graceful_timeout = server.GRACEFUL_TIMEOUT
keepalive = server.KEEPALIVE
# %if cookiecutter.interface == "wsgi" and cookiecutter.metrics != "prometheus"
# A worker is replaced after so many requests, which bounds what a leak can take.
max_requests = 100_000
max_requests_jitter = 20_000
# %endif

# The heartbeat must not wait for a slow disk.
# https://docs.gunicorn.org/en/stable/faq.html#blocking-os-fchmod
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
# core.proxies reads what a proxy says of the client; no header changes the path.
forwarded_allow_ips = ""
forwarder_headers = ""
