"""Tells Sentry of requests and queries: what its own Django integration does, at a fraction of the price.

Imported only where a DSN is set. That integration does nearly the same work whether a request is recorded or not; here
most of it is done where a request is recorded, or where something goes wrong.
"""

import asyncio
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from inspect import iscoroutinefunction
from random import random
from typing import Any

import sentry_sdk
from django.core.signals import got_request_exception, request_finished
from django.db.backends.signals import connection_created
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from sentry_sdk.integrations import Integration
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.scope import ScopeType
from sentry_sdk.tracing import NoOpSpan, Transaction, TransactionSource
from sentry_sdk.tracing_utils import Baggage
from sentry_sdk.utils import event_from_exception

from apps.observability.middleware import CLIENT_CLOSED_REQUEST
from apps.observability.sentry import SAFE_HEADERS

FIRST_WORD = re.compile(r"^\s*(\w*)")


class RequestIntegration(Integration):
    """What does not need a request at hand, for web servers, workers and commands alike."""

    # By it the client calls itself sentry.python.django.
    identifier = "django"

    @staticmethod
    def setup_once() -> None:
        got_request_exception.connect(report_exception)
        request_finished.connect(forget_request)
        connection_created.connect(watch_connection)
        # Django's line about the same exception would be a second event.
        ignore_logger("django.request")


@sync_and_async_middleware
def sentry_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """What happens during a request is told with it, and a share of all requests is recorded."""
    # Tags, for instance, that were set at the start are told with every request; what happened then is not.
    at_start = sentry_sdk.get_isolation_scope().fork()
    at_start.clear_breadcrumbs()
    sample_rate = sentry_sdk.get_client().options["traces_sample_rate"]

    def isolate(request: HttpRequest) -> None:
        scope = at_start.fork()
        scope.set_new_propagation_context()
        scope.add_event_processor(partial(describe_request, request))
        # Until the response has been sent: it may be streamed when this middleware has returned.
        sentry_sdk.Scope.set_isolation_scope(scope)

    def serve(request: HttpRequest) -> HttpResponseBase:
        isolate(request)
        response: HttpResponseBase
        if transaction := start_transaction(request, sample_rate):
            with sentry_sdk.new_scope(), transaction:
                response = get_response(request)
                end_transaction(transaction, request, response.status_code)
        else:
            response = get_response(request)
        if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
            content: Any = response.streaming_content
            response.streaming_content = content if response.is_async else report_failure(content)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        isolate(request)
        response: HttpResponseBase
        # Recorded or not: the requests of one thread are served side by side.
        with sentry_sdk.new_scope():
            if transaction := start_transaction(request, sample_rate):
                with transaction:
                    try:
                        response = await get_response(request)
                    except asyncio.CancelledError:
                        end_transaction(transaction, request, CLIENT_CLOSED_REQUEST)
                        raise
                    end_transaction(transaction, request, response.status_code)
            else:
                response = await get_response(request)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


def start_transaction(request: HttpRequest, sample_rate: float) -> Transaction | NoOpSpan | None:
    """The transaction of a request that is recorded, None for one that is not."""
    known: Any = {
        "op": "http.server",
        "name": request.path,
        "source": TransactionSource.URL,
        "origin": "auto.http.django",
    }
    meta = request.META
    if "HTTP_SENTRY_TRACE" in meta:
        # Whoever began the trace has decided.
        return sentry_sdk.start_transaction(sentry_sdk.continue_trace(meta, **known))
    drawn = random()  # noqa: S311 - no secret
    if drawn >= sample_rate:
        return None
    # The client decides by the same number, so that Sentry is told the true rate.
    baggage = Baggage({"sample_rand": f"{drawn:.6f}"})
    trace_id = sentry_sdk.get_isolation_scope().get_active_propagation_context().trace_id
    return sentry_sdk.start_transaction(Transaction(trace_id=trace_id, baggage=baggage, **known))


def end_transaction(transaction: Transaction | NoOpSpan, request: HttpRequest, status: int) -> None:
    if isinstance(transaction, Transaction):
        transaction.name, transaction.source = name_request(request)
    transaction.set_http_status(status)
    transaction.finish()


def name_request(request: HttpRequest) -> tuple[str, TransactionSource]:
    """The route, by which Sentry groups requests; the path where no route matches; and which of them it is."""
    if match := request.resolver_match:
        return f"/{match.route}", TransactionSource.ROUTE
    return request.path, TransactionSource.URL


def describe_request(request: HttpRequest, event: Any, hint: dict[str, Any]) -> Any:
    """Add to an event what may be told of the request during which it came about."""
    if event.get("type") != "transaction":
        event["transaction"], source = name_request(request)
        event["transaction_info"] = {"source": source}
    host = request.headers.get("Host") or request.META["SERVER_NAME"]
    event["request"] = {
        "url": f"{request.scheme}://{host}{request.path}",
        "method": request.method,
        "headers": {name: value for name, value in request.headers.items() if name.lower() in SAFE_HEADERS},
    }
    return event


def report_exception(**kwargs: object) -> None:
    """Receives ``got_request_exception``: Django answers with status 500 what nobody has caught."""
    event, hint = event_from_exception(
        sys.exc_info(),
        client_options=sentry_sdk.get_client().options,
        mechanism={"type": "django", "handled": False},
    )
    sentry_sdk.capture_event(event, hint)


def report_failure(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a response. What fails between them is past Django, and the server tells it after the request."""
    try:
        yield from pieces
    except Exception:
        report_exception()
        raise


def forget_request(**kwargs: object) -> None:
    """Receives ``request_finished``: what its thread tells from now on has nothing to do with the request."""
    sentry_sdk.Scope.set_isolation_scope(sentry_sdk.Scope(ty=ScopeType.ISOLATION))


def watch_connection(connection: Any, **kwargs: object) -> None:
    """Note its queries from now on. The signal comes each time that a connection is opened or taken from a pool."""
    if note_query not in connection.execute_wrappers:
        # First: connection.execute_wrapper() takes the last one away, and may have opened the connection.
        connection.execute_wrappers.insert(0, note_query)


def note_query(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Wraps a query: https://docs.djangoproject.com/en/stable/topics/db/instrumentation/"""
    # Where no values stand beside the text, they may stand in it.
    text = sql if isinstance(sql, str) and params else FIRST_WORD.findall(str(sql))[0]
    sentry_sdk.add_breadcrumb(category="query", message=text)
    parent = sentry_sdk.get_current_span()
    if parent is None or not parent.sampled:
        return execute(sql, params, many, context)
    with parent.start_child(op="db", name=text, origin="auto.db.django") as span:
        span.set_data("db.system", context["connection"].vendor)
        return execute(sql, params, many, context)
