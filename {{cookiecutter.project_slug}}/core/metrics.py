"""Count and time requests and queries; config/metrics_server.py hands the figures out.

https://prometheus.io/docs/practices/instrumentation/
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Gauge, Histogram

from core.middleware import Finish, around

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
LABELS = ("view", "method", "status")

requests = Counter("django_http_requests", "Requests answered.", LABELS)
durations = Histogram(
    "django_http_request_duration_seconds", "Time until the headers are ready.", LABELS
)
build = Gauge("django_build_info", "Always 1.", ["release"], multiprocess_mode="max")
build.labels(settings.RELEASE).set(1)
# Set by core.health with each answer to a probe.
ready = Gauge(
    "django_ready", "Whether a check passes.", ["check"], multiprocess_mode="mostrecent"
)
# What a killed worker was at does not stay in progress: only the living are added up.
in_progress = Gauge(
    "django_http_requests_in_progress",
    "Requests being answered.",
    multiprocess_mode="livesum",
)
# %if cookiecutter.interface == "wsgi"
capacity = Gauge(
    "django_http_threads", "Threads that answer.", multiprocess_mode="livesum"
)
# %else
capacity = Gauge(
    "django_http_workers", "Processes that answer.", multiprocess_mode="livesum"
)
# %endif
# %if cookiecutter.database == "postgresql"
# By what the pool calls it.
# https://www.psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats
pool_counters = {
    "requests_num": Counter(
        "django_db_pool_requests", "Connections asked of the pool.", ["database"]
    ),
    "requests_queued": Counter(
        "django_db_pool_waits", "Times that none was free at once.", ["database"]
    ),
    "requests_errors": Counter(
        "django_db_pool_errors", "Times that none came free in time.", ["database"]
    ),
}

# %endif
# %if cookiecutter.task_queue == "celery"
tasks = Counter("django_tasks", "Tasks that ended.", ["task", "state"])
runtimes = Histogram("django_task_duration_seconds", "Tasks that succeed.", ["task"])
# %endif
queries = Counter("django_db_queries", "Queries sent.", ["database"])
query_errors = Counter("django_db_query_errors", "Queries that failed.", ["database"])
query_seconds = Counter("django_db_query_seconds", "Time of queries.", ["database"])
connections = Counter("django_db_connections", "Connections taken up.", ["database"])


@around
@contextmanager
def metrics_middleware(request: HttpRequest) -> Iterator[Finish]:
    """Count and time a request; the labels hold nothing that a client makes up."""
    started = perf_counter()
    status = 499  # as in core.logs: the client left before the answer

    def finish(response: HttpResponseBase) -> None:
        nonlocal status
        status = response.status_code

    try:
        with in_progress.track_inprogress():
            yield finish
    finally:
        match = request.resolver_match
        view = match.view_name if match else "none"
        method = request.method if request.method in METHODS else "other"
        requests.labels(view, method, status).inc()
        durations.labels(view, method, status).observe(perf_counter() - started)


# %if cookiecutter.task_queue == "celery"
def count_task(sender: Any, signal: Any, **kwargs: Any) -> None:
    """Count a task by the name of Celery's signal; of successes it knows the time."""
    tasks.labels(sender.name, signal.name.removeprefix("task_")).inc()
    if "runtime" in kwargs:
        runtimes.labels(sender.name).observe(kwargs["runtime"])


# %endif
@receiver(connection_created)
def watch_connection(connection: Any, **kwargs: Any) -> None:
    """Count the queries of a connection that was opened, or taken from the pool."""
    alias = connection.alias
    connections.labels(alias).inc()
    query_errors.labels(alias)  # a rate needs the zero before the first error
    # %if cookiecutter.database == "postgresql"
    if pool := getattr(connection, "pool", None):
        stats = pool.pop_stats()
        for name, counter in pool_counters.items():
            counter.labels(alias).inc(stats.get(name, 0))
    # %endif
    if count_query not in connection.execute_wrappers:
        # Not last: connection.execute_wrapper() takes the last one away when it ends.
        connection.execute_wrappers.insert(0, count_query)


def count_query(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
) -> Any:
    """https://docs.djangoproject.com/en/stable/topics/db/instrumentation/"""
    alias = context["connection"].alias
    started = perf_counter()
    try:
        with query_errors.labels(alias).count_exceptions():
            return execute(sql, params, many, context)
    finally:
        queries.labels(alias).inc()
        query_seconds.labels(alias).inc(perf_counter() - started)
