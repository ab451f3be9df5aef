"""Celery: the web server enqueues tasks, the worker runs them.

https://docs.celeryq.dev/en/stable/userguide/configuration.html
"""

import logging
import os
import ssl
from typing import Any

from celery import Celery, beat, signals
from celery.contrib.django.task import DjangoTask
from celery.schedules import crontab
from django.conf import settings

from core.logs import request_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

# By the URL's scheme: check the broker's certificate and its name. Without this kombu
# takes any certificate for Redis, and any name for RabbitMQ.
TLS = {
    "rediss": {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True},
    "amqps": {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None},
}

LONGEST_WAIT_S = 20 * 60


def touch_heartbeat(**kwargs: Any) -> None:
    """Touch a file, whose age is the health of a worker or of beat.

    docs/operations.md has the commands that look at it.
    """
    settings.HEARTBEAT_FILE.touch()


class Task(DjangoTask):
    """Refuse to wait for long: RabbitMQ gives a task that no worker has ended to the
    next one after 30 minutes, Redis after an hour, and it would run several times.
    """

    def apply_async(self, *args: Any, **options: Any) -> Any:
        seconds = options.get("countdown") or 0
        if eta := options.get("eta"):
            seconds = (eta - self.app.now()).total_seconds()
        if seconds > LONGEST_WAIT_S:
            raise ValueError(f"countdown and eta: {LONGEST_WAIT_S} seconds at most")
        return super().apply_async(*args, **options)


class Scheduler(beat.Scheduler):
    """In memory: a container needs nothing writable."""

    def tick(self, *args: Any, **options: Any) -> float:
        touch_heartbeat()
        return super().tick(*args, **options)


# %if cookiecutter.metrics == "prometheus"
@signals.import_modules.connect
def prepare_metrics(**kwargs: Any) -> None:
    """Connected before the application's own receiver, which imports the tasks."""
    from config import metrics_server
    from core.metrics import count_task

    signals.worker_ready.connect(metrics_server.serve_worker)
    for ended in (signals.task_success, signals.task_retry, signals.task_failure):
        ended.connect(count_task)


# %endif
app = Celery("{{ cookiecutter.project_slug }}", task_cls=Task)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    timezone=settings.TIME_ZONE,
    # A task that its worker did not finish is delivered again: it may run twice.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # The CPU cores within the container's limit.
    worker_concurrency="auto",
    worker_prefetch_multiplier=1,
    # Nobody who can write to the broker stops a worker by that.
    worker_enable_remote_control=False,
    # Seconds: an exception that the task may catch, then the end of its process.
    task_soft_time_limit=270,
    task_time_limit=300,
    # After a failover of Redis a worker connects anew, and does not end.
    broker_channel_error_retry=True,
    # A worker waits for its broker for ever, a request that enqueues a few seconds. The
    # timeouts are Redis's and RabbitMQ's, which also has to confirm each message.
    broker_connection_max_retries=None,
    broker_connection_timeout=2,
    broker_transport_options={
        "socket_connect_timeout": 2,
        "socket_timeout": 2,
        "read_timeout": 2,
        "write_timeout": 2,
        "confirm_publish": True,
    },
    broker_use_ssl=TLS.get((app.conf.broker_url or "").partition(":")[0], False),
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0},
    # Schedule times of day, not intervals, which begin anew with every start. Beat
    # shows every 10 s that it is alive, also if nothing is due.
    beat_scheduler="config.celery:Scheduler",
    beat_max_loop_interval=10,
    beat_schedule={
        "clear expired sessions": {
            "task": "core.tasks.clear_sessions",
            "schedule": crontab(hour="4", minute="0"),
        },
    },
)
app.autodiscover_tasks()
signals.heartbeat_sent.connect(touch_heartbeat)  # every two seconds


# %if cookiecutter.metrics == "opentelemetry"
if settings.OTEL_ENDPOINT:
    from core import telemetry

    # In each process of the pool.
    signals.worker_process_init.connect(telemetry.start)
    signals.worker_process_shutdown.connect(telemetry.stop)


# %endif
@signals.setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """Keep the project's LOGGING: Celery makes its own where nobody receives this.

    Development has none: this shows what tasks write.
    """
    logging.basicConfig(level=logging.INFO)


@signals.before_task_publish.connect
def send_request_id(headers: dict[str, Any], **kwargs: Any) -> None:
    """Send the id of the request along: it is in every line of the task."""
    headers["request_id"] = request_id.get()


@signals.task_prerun.connect
def take_up_request_id(task: Any, **kwargs: Any) -> None:
    if not task.request.is_eager:
        request_id.set(task.request.get("request_id"))
