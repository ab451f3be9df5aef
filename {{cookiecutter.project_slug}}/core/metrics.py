"""Count and time requests and queries; config/metrics_server.py hands the figures out.

https://prometheus.io/docs/practices/instrumentation/
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Gauge, Histogram, Summary

from core.middleware import Finish, around

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
LABELS = ("view", "method", "status")

requests = Counter("django_http_requests", "Requests answered.", LABELS)
# Until the headers are ready.
durations = Histogram("django_http_request_duration_seconds", "Their time.", LABELS)
build = Gauge("django_build_info", "Always 1.", ["release"], multiprocess_mode="max")
build.labels(settings.RELEASE).set(1)
# Set by core.health with each answer to a probe.
ready = Gauge("django_ready", "1: passes.", ["check"], multiprocess_mode="mostrecent")
# What a killed worker was at does not stay in progress: only the living are added up.
Total = partial(Gauge, multiprocess_mode="livesum")
in_progress = Total("django_http_requests_in_progress", "Requests being answered.")
# %if cookiecutter.interface == "wsgi"
capacity = Total("django_http_threads", "Threads that answer.")
# %else
capacity = Total("django_http_workers", "Processes that answer.")
# %endif
# %if cookiecutter.task_queue == "celery"
tasks = Counter("django_tasks", "Tasks that ended.", ["task", "state"])
runtimes = Histogram("django_task_duration_seconds", "Tasks that succeed.", ["task"])
# %endif
# %if cookiecutter.database == "postgresql"
# https://www.psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats
pool_requests = Counter("django_db_pool_requests", "Asked of the pool.", ["database"])
pool_waits = Counter("django_db_pool_waits", "None was free at once.", ["database"])
pool_errors = Counter("django_db_pool_errors", "None came in time.", ["database"])
# %endif
queries = Summary("django_db_query_seconds", "Queries and their time.", ["database"])
query_errors = Counter("django_db_query_errors", "Queries that failed.", ["database"])
connections = Counter("django_db_connections", "Connections taken up.", ["database"])


@around
@contextmanager
def metrics_middleware(request: HttpRequest) -> Iterator[Finish]:
    """Count and time a request; the labels hold nothing that a client makes up."""
    status = 499  # as in core.logs: the client left before the answer

    def finish(response: HttpResponseBase) -> None:
        nonlocal status
        status = response.status_code

    with durations.time() as timer, in_progress.track_inprogress():
        try:
            yield finish
        finally:
            match = request.resolver_match
            view = match.view_name if match else "none"
            method = request.method if request.method in METHODS else "other"
            requests.labels(view, method, status).inc()
            timer.labels(view, method, status)


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
        pool_requests.labels(alias).inc(stats.get("requests_num", 0))
        pool_waits.labels(alias).inc(stats.get("requests_queued", 0))
        pool_errors.labels(alias).inc(stats.get("requests_errors", 0))
    # %endif
    if count_query not in connection.execute_wrappers:
        # Not last: connection.execute_wrapper() takes the last one away when it ends.
        connection.execute_wrappers.insert(0, count_query)


def count_query(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
    """https://docs.djangoproject.com/en/stable/topics/db/instrumentation/"""
    alias = context["connection"].alias
    with queries.labels(alias).time(), query_errors.labels(alias).count_exceptions():
        return execute(sql, params, many, context)
