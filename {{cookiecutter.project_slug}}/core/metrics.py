"""Counts and times requests, queries and cache lookups for Prometheus; config/metrics_server.py hands them out.

https://prometheus.io/docs/practices/instrumentation/
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from functools import cache, partial, wraps
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from prometheus_client import Counter, Gauge, Histogram

from apps.observability.middleware import CLIENT_CLOSED_REQUEST

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REQUEST = ("view", "method", "status")
MISSING = object()

requests = Counter("django_http_requests", "Requests answered.", REQUEST)
durations = Histogram(
    "django_http_request_duration_seconds", "Time until the response's headers are ready.", REQUEST, buckets=BUCKETS_S
)
# Of living workers: what a killed one was at does not stay in progress for ever.
in_progress = Gauge("django_http_requests_in_progress", "Requests being answered.", multiprocess_mode="livesum")
# %if cookiecutter.interface == "wsgi"
capacity = Gauge("django_http_threads", "Threads that answer requests.", multiprocess_mode="livesum")
# %else
capacity = Gauge("django_http_workers", "Processes that answer requests.", multiprocess_mode="livesum")
# %endif

queries = Counter("django_db_queries", "Queries sent.", ("database",))
query_errors = Counter("django_db_query_errors", "Queries that failed.", ("database",))
query_seconds = Counter("django_db_query_seconds", "Seconds spent in queries.", ("database",))
# %if cookiecutter.database == "postgresql"
connections_taken = Counter("django_db_connections", "Connections opened, or taken from the pool.", ("database",))
# %else
connections_taken = Counter("django_db_connections", "Connections opened.", ("database",))
# %endif
# %if cookiecutter.database == "postgresql"
pool_requests = Counter("django_db_pool_requests", "Connections asked of the pool.", ("database",))
pool_waits = Counter("django_db_pool_waits", "Times that none was free at once.", ("database",))
pool_wait_seconds = Counter("django_db_pool_wait_seconds", "Seconds spent waiting for one.", ("database",))
pool_errors = Counter("django_db_pool_errors", "Times that none came free in time.", ("database",))
# %endif

cache_hits = Counter("django_cache_hits", "Keys found in the cache.")
cache_misses = Counter("django_cache_misses", "Keys not found in the cache.")
cache_errors = Counter("django_cache_errors", "Calls to the cache that failed.")


@sync_and_async_middleware
def metrics_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Counts and times every request that it sees; static files and health probes are answered before it."""
    # %if cookiecutter.database == "postgresql"
    watch_pools()
    # %endif
    for backend in caches.all():
        watch_cache(find_class(backend))

    def serve(request: HttpRequest) -> HttpResponseBase:
        in_progress.inc()
        started = perf_counter()
        response: HttpResponseBase = get_response(request)
        record(request, response.status_code, started)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        in_progress.inc()
        started = perf_counter()
        try:
            response: HttpResponseBase = await get_response(request)
        except asyncio.CancelledError:
            record(request, CLIENT_CLOSED_REQUEST, started)
            raise
        record(request, response.status_code, started)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


def record(request: HttpRequest, status: int, started: float) -> None:
    """Count a request that ends now; ``started`` is a ``perf_counter()`` reading in seconds."""
    match = request.resolver_match
    # Names and methods that the project knows: whoever makes up paths and methods makes no series.
    view = match.view_name if match else "none"
    method = request.method if request.method in METHODS else "other"
    count, duration = series(view, method, status)
    count.inc()
    duration.observe(perf_counter() - started)
    in_progress.dec()


@cache
def series(view: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """The counter and the histogram for these labels, which the library would look up under a lock."""
    return requests.labels(view, method, status), durations.labels(view, method, status)


@receiver(connection_created)
def watch_connection(connection: Any, **kwargs: object) -> None:
    """Count its queries from now on. The signal comes each time that a connection is taken up."""
    connections_taken.labels(connection.alias).inc()
    query_errors.labels(connection.alias)  # a rate needs the zero before the first error
    if count_query not in connection.execute_wrappers:
        # First: connection.execute_wrapper() takes the last one away, and may have opened the connection.
        connection.execute_wrappers.insert(0, count_query)


def count_query(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """https://docs.djangoproject.com/en/stable/topics/db/instrumentation/"""
    alias = context["connection"].alias
    started = perf_counter()
    try:
        return execute(sql, params, many, context)
    except Exception:
        query_errors.labels(alias).inc()
        raise
    finally:
        queries.labels(alias).inc()
        query_seconds.labels(alias).inc(perf_counter() - started)


# %if cookiecutter.database == "postgresql"
def watch_pools() -> None:
    from django.core.signals import request_finished

    request_finished.connect(count_pools, dispatch_uid="count_pools")


def count_pools(**kwargs: object) -> None:
    """Add what each pool has counted since it was last asked.

    https://www.psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats
    """
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        if pool := getattr(connection, "pool", None):
            stats = pool.pop_stats()
            for counter, name, unit in (
                (pool_requests, "requests_num", 1),
                (pool_waits, "requests_queued", 1),
                (pool_wait_seconds, "requests_wait_ms", 1000),
                (pool_errors, "requests_errors", 1),
            ):
                counter.labels(connection.alias).inc(stats.get(name, 0) / unit)


# %endif
class Calls(threading.local):
    """Whether this thread is inside a call to a cache: one that is made of others counts once."""

    inside = False


calls = Calls()


def find_class(backend: BaseCache) -> Any:
    """The class whose calls are counted."""
    # %if cookiecutter.cache != "database"
    from apps.operations.cache import FailSafeCache

    if isinstance(backend, FailSafeCache):
        # Around this one an outage is hidden, and looks like an empty cache.
        return type(backend.find_server().backend)
    # %endif
    return type(backend)


@cache
def watch_cache(backend: type) -> None:
    """Count the calls to a cache, in place, so that it holds for whatever class CACHES names."""
    for name, call in (("get", look_up), ("get_many", look_up_many), ("set", write), ("delete", write)):
        setattr(backend, name, counted(getattr(backend, name), call))


def counted(method: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if calls.inside:
            return method(self, *args, **kwargs)
        calls.inside = True
        try:
            return call(partial(method, self), *args, **kwargs)
        except Exception:
            cache_errors.inc()
            raise
        finally:
            calls.inside = False

    return wrapper


def look_up(get: Callable[..., Any], key: Any, default: Any = None, *args: Any, **kwargs: Any) -> Any:
    value = get(key, MISSING, *args, **kwargs)
    if value is MISSING:
        cache_misses.inc()
        return default
    cache_hits.inc()
    return value


def look_up_many(get_many: Callable[..., Any], keys: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
    keys = list(keys)
    found = get_many(keys, *args, **kwargs)
    cache_hits.inc(len(found))
    cache_misses.inc(len(keys) - len(found))
    return found


def write(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return method(*args, **kwargs)
