"""Send traces and metrics by OTLP, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

Imported only then. OpenTelemetry's own instrumentations record; of what they record,
only that is let out which names nobody.
https://opentelemetry.io/docs/languages/python/
"""

import re
from contextlib import suppress
from importlib.metadata import entry_points
from threading import Thread
from typing import Any

from django.urls import Resolver404, resolve
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider, export, view
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

# %if cookiecutter.interface == "wsgi"
from core.logs import PROBES

# %endif
# Django sends values beside the text of a query; others are quoted, or long numbers.
# %if cookiecutter.database == "mysql"
VALUES = re.compile(r"['\"]|\d{4}")
# %else
VALUES = re.compile(r"['$]|\d{4}")
# %endif
# What is said of a request, a query or a task.
SAFE_NAMES = """
    http.request.method http.response.status_code http.route url.scheme error.type
    db.system.name db.operation.name db.query.text
    # %if cookiecutter.task_queue == "celery"
    celery.action celery.state celery.task_name
    # %endif
"""
SAFE = set(SAFE_NAMES.split())


def start(**kwargs: Any) -> None:
    """Begin to send, in each process: the threads that do it do not survive a fork."""
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(SafeExporter()))
    trace.set_tracer_provider(tracers)
    reader = export.PeriodicExportingMetricReader(OTLPMetricExporter())
    names = ("db.*", "http.*")
    views = [view.View(instrument_name=x, attribute_keys=SAFE) for x in names]
    meters = MeterProvider([reader], shutdown_on_exit=False, views=views)
    metrics.set_meter_provider(meters)
    # All those that pyproject.toml names.
    for instrumentor in entry_points(group="opentelemetry_instrumentor"):
        instrumentor.load()().instrument()


def stop(**kwargs: Any) -> None:
    """Send what is left; a collector that does not answer gets three seconds."""
    providers: Any = (trace.get_tracer_provider(), metrics.get_meter_provider())
    work = Thread(target=lambda: [item.shutdown() for item in providers], daemon=True)
    work.start()
    work.join(3)


class SafeExporter(OTLPSpanExporter):
    def export(self, spans: Any) -> Any:
        # Readiness asks the database each second: no trace begins with a query.
        wanted = (s for s in spans if s.parent or s.kind is not trace.SpanKind.CLIENT)
        return super().export([SafeSpan(span) for span in wanted])  # type: ignore[misc]


class SafeSpan:
    """A span without paths, addresses, values and messages of exceptions."""

    events = ()

    def __init__(self, span: Any) -> None:
        self.span = span
        self.status = trace.Status(span.status.status_code)
        safe = {key: span.attributes[key] for key in SAFE & set(span.attributes)}
        with suppress(KeyError, Resolver404):
            safe["http.route"] = "/" + resolve(span.attributes["url.path"]).route
        if VALUES.search(safe.get("db.query.text", "")):
            del safe["db.query.text"]
        # The project's own spans keep what it says of them.
        self.attributes = span.attributes if span.kind.name == "INTERNAL" else safe
        method, route = safe.get("http.request.method"), safe.get("http.route", "")
        self.name = f"{method} {route}".strip() if method else span.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.span, name)


def trace_requests(application: Any) -> Any:
    """Return an application with a span for each request but probes, static files."""
    # %if cookiecutter.interface == "asgi"
    from opentelemetry.instrumentation import asgi

    excluded = "^[a-z]+://[^/]*/(health/(live|ready)|static)/"
    options: Any = {"excluded_urls": excluded, "exclude_spans": ["receive", "send"]}
    return asgi.OpenTelemetryMiddleware(application, **options)
    # %else
    from opentelemetry.instrumentation import wsgi

    traced = wsgi.OpenTelemetryMiddleware(application)

    def serve(environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        is_traced = path not in PROBES and not path.startswith("/static/")
        return (traced if is_traced else application)(environ, start_response)

    return serve
    # %endif
