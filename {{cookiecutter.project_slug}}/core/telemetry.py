"""Traces and metrics of requests and queries, sent by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

Imported only then. Names follow https://opentelemetry.io/docs/specs/semconv/http/; nothing that identifies a person or
opens a door is recorded: no path, query string, header, address or value of a query.
"""

import asyncio
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from time import monotonic, perf_counter
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from opentelemetry import metrics, propagate, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from apps.observability.logs import RequestJsonFormatter
from apps.observability.middleware import CLIENT_CLOSED_REQUEST

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS_S = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
)
QUERY_TEXT_LENGTH = 2000
STOP_S = 3.0

tracer = trace.get_tracer(__name__)
meter = metrics.get_meter(__name__)
requests_active = meter.create_up_down_counter(
    "http.server.active_requests", unit="{request}"
)
request_durations = meter.create_histogram(
    "http.server.request.duration",
    unit="s",
    explicit_bucket_boundaries_advisory=BUCKETS_S,
)
query_durations = meter.create_histogram(
    "db.client.operation.duration",
    unit="s",
    explicit_bucket_boundaries_advisory=BUCKETS_S,
)
providers: list[TracerProvider | MeterProvider] = []


def start() -> None:
    """Begin to send, in each worker by itself: the threads that do it do not survive a fork."""
    os.environ.update(settings.OPENTELEMETRY)
    # The counts of two workers must not be taken for one that jumps.
    resource = Resource.create({"service.instance.id": str(uuid4())})
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meter_provider = MeterProvider(
        [PeriodicExportingMetricReader(OTLPMetricExporter())],
        resource=resource,
        shutdown_on_exit=False,
    )
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(meter_provider)
    providers.extend((tracer_provider, meter_provider))


def stop() -> None:
    """Send what is left; a collector that does not answer holds up the end for STOP_S at most."""
    deadline = monotonic() + STOP_S
    threads = [
        threading.Thread(target=provider.shutdown, daemon=True)
        for provider in providers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline - monotonic()))
    providers.clear()


@sync_and_async_middleware
def telemetry_middleware(
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], Any]:
    """A span and a measurement for every request that it sees; static files and probes are answered before it."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        with measure(request) as end:
            response: HttpResponseBase = get_response(request)
            end(response.status_code)
            return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        with measure(request) as end:
            try:
                response: HttpResponseBase = await get_response(request)
            except asyncio.CancelledError:
                end(CLIENT_CLOSED_REQUEST)
                raise
            end(response.status_code)
            return response

    return serve_async if iscoroutinefunction(get_response) else serve


@contextmanager
def measure(request: HttpRequest) -> Iterator[Callable[[int], None]]:
    """The request's span, in the trace that its caller began; gives a function that takes the response's status."""
    method = request.method if request.method in METHODS else "_OTHER"
    known = {"http.request.method": method, "url.scheme": request.scheme or "http"}
    parent = propagate.extract(request.headers)
    requests_active.add(1, known)
    started = perf_counter()
    with tracer.start_as_current_span(
        method,
        parent,
        trace.SpanKind.SERVER,
        known,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:

        def end(status: int) -> None:
            requests_active.add(-1, known)
            attributes: dict[str, str | int] = {
                **known,
                "http.response.status_code": status,
            }
            if match := request.resolver_match:
                attributes["http.route"] = f"/{match.route}"
                span.update_name(f"{method} /{match.route}")
            if status >= 500:
                attributes["error.type"] = str(status)
                span.set_status(trace.StatusCode.ERROR)
            span.set_attributes(attributes)
            request_durations.record(perf_counter() - started, attributes)

        yield end


@receiver(connection_created)
def watch_connection(connection: Any, **kwargs: object) -> None:
    """Measure its queries from now on. The signal comes each time that a connection is opened or taken from a pool."""
    if measure_query not in connection.execute_wrappers:
        # First: connection.execute_wrapper() takes the last one away, and may have opened the connection.
        connection.execute_wrappers.insert(0, measure_query)


def measure_query(
    execute: Callable[..., Any],
    sql: Any,
    params: Any,
    many: bool,
    context: dict[str, Any],
) -> Any:
    """https://docs.djangoproject.com/en/stable/topics/db/instrumentation/"""
    operation = match[0].upper() if (match := re.match(r"\w+", str(sql))) else "QUERY"
    known = {
        "db.system.name": context["connection"].vendor,
        "db.operation.name": operation,
    }
    started = perf_counter()
    try:
        # Outside a request, a span would be a trace of its own: every readiness check makes a query.
        if not trace.get_current_span().is_recording():
            return execute(sql, params, many, context)
        attributes = dict(known)
        if params:
            # Values stand in the text where they do not stand beside it.
            attributes["db.query.text"] = str(sql)[:QUERY_TEXT_LENGTH]
        with tracer.start_as_current_span(
            operation,
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return execute(sql, params, many, context)
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                # Without a description: the database's message holds values.
                span.set_status(trace.StatusCode.ERROR)
                raise
    finally:
        query_durations.record(perf_counter() - started, known)


class TracedJsonFormatter(RequestJsonFormatter):
    """Adds the trace and the span to every line that is written while a request is served."""

    def add_fields(
        self,
        log_data: dict[str, Any],
        record: logging.LogRecord,
        message_dict: dict[str, Any],
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            log_data["trace_id"] = trace.format_trace_id(context.trace_id)
            log_data["span_id"] = trace.format_span_id(context.span_id)
