"""Celery: enqueues tasks in the web server and runs them in the worker.

https://docs.celeryq.dev/en/stable/userguide/configuration.html
"""

import logging
import os
import ssl
from typing import Any
from urllib.parse import urlsplit

from celery import Celery, signals
from celery.schedules import crontab
from django.conf import settings
from django.utils.log import configure_logging

from core.logs import request_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

logger = logging.getLogger(__name__)

# Whoever enqueues is a request: a broker that is away may hold it up for a few seconds, and no more.
RETRY_ONCE = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
REDIS = {
    **RETRY_ONCE,
    "socket_connect_timeout": 2,
    "socket_timeout": 2,
    # Longer than any task or countdown: what is not acknowledged by then is delivered again.
    "visibility_timeout": 3600,
}
# A message counts as sent once the broker has confirmed it.
RABBITMQ = {
    **RETRY_ONCE,
    "confirm_publish": True,
    "read_timeout": 2,
    "write_timeout": 2,
}

# By scheme: options of the connection, and what makes it verify the certificate and the host's name.
BROKERS: dict[str, tuple[dict[str, Any], dict[str, Any] | bool]] = {
    "redis": (REDIS, False),
    "rediss": (REDIS, {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}),
    "amqp": (RABBITMQ, False),
    "amqps": (RABBITMQ, {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}),
}

app = Celery("{{ cookiecutter.project_slug }}")
app.config_from_object("django.conf:settings", namespace="CELERY")
transport_options, tls = BROKERS[
    urlsplit(getattr(settings, "CELERY_BROKER_URL", "")).scheme or "redis"
]
app.conf.update(
    timezone=settings.TIME_ZONE,
    # Nothing but JSON is sent, and nothing else is believed.
    accept_content=["json"],
    task_serializer="json",
    # Nobody asks for results; what went wrong is in the log.
    task_ignore_result=True,
    # A task that its worker did not finish, even because it was killed, is delivered again: it may run twice.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    # Seconds: an exception that the task may catch, then the end of its process.
    task_soft_time_limit=270,
    task_time_limit=300,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=2,
    broker_transport_options=transport_options,
    broker_use_ssl=tls,
    task_publish_retry_policy=RETRY_ONCE,
    worker_hijack_root_logger=False,
    # In memory, so that a container needs nothing writable. Times of day only: an interval would begin anew with
    # every start.
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        "clear expired sessions": {
            "task": "core.tasks.clear_sessions",
            "schedule": crontab(hour="4", minute="0"),
            "options": {"expires": 3600},
        },
    },
)
app.autodiscover_tasks()


# %if cookiecutter.metrics == "opentelemetry"
if settings.OTEL_ENDPOINT:
    from core import telemetry

    # In each process of the pool.
    signals.worker_process_init.connect(telemetry.start)
    signals.worker_process_shutdown.connect(telemetry.stop)


# %endif
@signals.setup_logging.connect
def set_up_logging(**kwargs: Any) -> None:
    """The project's own LOGGING; that somebody receives this signal keeps Celery from making its own."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    if not settings.LOGGING:
        # Development: Django's own logging leaves out everybody else.
        logging.basicConfig(level=logging.INFO)


@signals.before_task_publish.connect
def send_request_id(headers: dict[str, Any], **kwargs: Any) -> None:
    """A task's lines have the id of the request that enqueued it."""
    headers["request_id"] = request_id.get()


@signals.task_prerun.connect
def take_up_request_id(task: Any, **kwargs: Any) -> None:
    if not task.request.is_eager:
        request_id.set(task.request.get("request_id"))


@signals.task_postrun.connect
def leave_request(task: Any, **kwargs: Any) -> None:
    if not task.request.is_eager:
        request_id.set(None)


@signals.worker_shutdown.connect
def say_goodbye(**kwargs: Any) -> None:
    logger.info("worker stopped")
