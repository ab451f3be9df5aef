"""What is measured where a collector is named, and that nothing is where none is."""

import json
import logging
from collections.abc import Callable
from logging.config import DictConfigurator
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.test import AsyncRequestFactory
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_django.fixtures import Settings

from apps.observability import telemetry
from apps.observability.logs import json_logging

if TYPE_CHECKING:
    from conftest import LeaveEarly, LoadModule, RunPython, Send, Sink

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}

type Measured = Callable[[], dict[str, Any]]
type Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture
def spans(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Spans:
    """The spans that have ended, the first one first."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("tests"))
    settings.MIDDLEWARE = ["apps.observability.telemetry.telemetry_middleware", *settings.MIDDLEWARE]
    return lambda: list(exporter.get_finished_spans())


@pytest.fixture
def measured(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """What the metrics hold: the attributes of every point and how often, or how much, by name."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("tests")
    monkeypatch.setattr(telemetry, "request_durations", meter.create_histogram("requests"))
    monkeypatch.setattr(telemetry, "requests_active", meter.create_up_down_counter("active"))
    monkeypatch.setattr(telemetry, "query_durations", meter.create_histogram("queries"))

    def read() -> dict[str, Any]:
        data = reader.get_metrics_data()
        points = data.resource_metrics[0].scope_metrics[0].metrics if data else ()
        return {
            metric.name: [
                (dict(point.attributes or {}), getattr(point, "count", getattr(point, "value", None)))
                for point in metric.data.data_points
            ]
            for metric in points
        }

    return read


def test_a_request_has_a_span_and_a_measurement(send: "Send", spans: Spans, measured: Measured) -> None:
    send("GET", "/robots.txt?token=secret", headers=SAMPLED | {"cookie": "sessionid=secret"})
    [span] = spans()
    attributes = {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/robots.txt",
        "url.scheme": "http",
    }
    assert (span.name, span.attributes) == ("GET /robots.txt", attributes)
    assert span.context
    assert trace.format_trace_id(span.context.trace_id) == TRACE
    assert span.parent
    assert trace.format_span_id(span.parent.span_id) == PARENT
    assert measured() == {
        "requests": [(attributes, 1)],
        "active": [({"http.request.method": "GET", "url.scheme": "http"}, 0)],
    }
    assert "secret" not in span.to_json()


def test_a_request_that_no_route_matches_is_named_after_its_method(send: "Send", spans: Spans) -> None:
    send("BREW", "/made/up/7")
    [span] = spans()
    assert span.name == "_OTHER"
    assert "http.route" not in (span.attributes or {})


@pytest.mark.usefixtures("spans")
def test_a_probe_is_not_measured(send: "Send", spans: Spans, settings: Settings) -> None:
    health, traced = settings.MIDDLEWARE[1], settings.MIDDLEWARE[0]
    settings.MIDDLEWARE = [health, traced, *settings.MIDDLEWARE[2:]]
    send("GET", "/health/live/")
    assert spans() == []


def test_a_server_error_is_marked(spans: Spans) -> None:
    telemetry.telemetry_middleware(lambda request: HttpResponse(status=503))(AsyncRequestFactory().get("/"))
    [span] = spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "503"


def test_a_client_that_leaves_is_measured(spans: Spans, leave_early: "LeaveEarly") -> None:
    leave_early(telemetry.telemetry_middleware)
    [span] = spans()
    assert (span.attributes or {})["http.response.status_code"] == 499


@pytest.mark.django_db(transaction=True)
def test_queries_are_measured_without_their_values(spans: Spans, measured: Measured) -> None:
    telemetry.watch_connection(connection)
    telemetry.watch_connection(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # outside a request: no trace of its own
        with telemetry.tracer.start_as_current_span("request"):
            cursor.execute("SELECT %s", ["secret"])
            cursor.execute("SELECT 'secret'")
            with pytest.raises(DatabaseError):
                cursor.execute("SELECT missing")
    system = {"db.system.name": connection.vendor, "db.operation.name": "SELECT"}
    beside, inline, failed, _ = spans()
    assert beside.attributes == system | {"db.query.text": "SELECT %s"}
    assert inline.attributes == system
    assert (failed.attributes or {})["error.type"].endswith("Error")  # type: ignore[union-attr]
    assert (system, 4) in measured()["queries"]


@pytest.mark.usefixtures("spans")
def test_log_lines_name_the_trace_and_the_span() -> None:
    configuration = json_logging("INFO")["formatters"]["json"]
    configuration["()"] = "apps.observability.telemetry.TracedJsonFormatter"
    formatter = DictConfigurator({}).configure_formatter(configuration)
    record = logging.makeLogRecord({"msg": "low on ink"})
    assert "trace_id" not in json.loads(formatter.format(record))
    with telemetry.tracer.start_as_current_span("request") as span:
        line = json.loads(formatter.format(record))
    context = span.get_span_context()
    assert line["trace_id"] == trace.format_trace_id(context.trace_id)
    assert line["span_id"] == trace.format_span_id(context.span_id)


def test_a_named_collector_is_sent_spans_and_metrics_at_the_end(
    run_python: "RunPython", production_environ: dict[str, str], sink: "Sink"
) -> None:
    program = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "from apps.observability import telemetry\n"
        "telemetry.start()\n"
        "Client().get('/robots.txt', headers={'host': 'www.shop.test', 'x-forwarded-proto': 'https'})\n"
        "telemetry.stop()\n"
    )
    environ = production_environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.server_port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
        "OTEL_TRACES_SAMPLER_ARG": "1",
    }
    result = run_python("-c", program, environ=environ)
    assert result.returncode == 0, result.stderr
    assert {path: headers["Authorization"] for path, headers, _ in sink.received} == {
        "/v1/traces": "secret",
        "/v1/metrics": "secret",
    }
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [len(line["trace_id"]) for line in lines if line["logger"] == "access"] == [32]


def test_start_and_stop(settings: Settings, monkeypatch: pytest.MonkeyPatch, sink: "Sink") -> None:
    settings.OPENTELEMETRY = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.server_port}"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")  # comes back after the test
    monkeypatch.setattr(trace, "set_tracer_provider", lambda provider: None)
    monkeypatch.setattr(metrics, "set_meter_provider", lambda provider: None)
    telemetry.start()
    tracer_provider, meter_provider = telemetry.providers
    assert isinstance(tracer_provider, TracerProvider)
    assert isinstance(meter_provider, MeterProvider)
    tracer_provider.get_tracer("tests").start_span("request").end()
    meter_provider.get_meter("tests").create_counter("requests").add(1)
    telemetry.stop()
    assert {path for path, *_ in sink.received} == {"/v1/traces", "/v1/metrics"}
    assert telemetry.providers == []


def test_nothing_is_imported_without_a_collector(run_python: "RunPython", production_environ: dict[str, str]) -> None:
    program = (
        "import django; django.setup(); from django.test import Client; Client().get('/health/live/'); import sys\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    environ = production_environ | {"DJANGO_SETTINGS_MODULE": "config.settings.production"}
    assert run_python("-c", program, environ=environ).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ],
)
def test_a_malformed_variable_is_reported(
    load_module: "LoadModule", production_environ: dict[str, str], variable: str, value: str
) -> None:
    with pytest.raises(SystemExit, match=f"- {variable} must"):
        load_module("config.settings.production", production_environ | {variable: value})


def test_production_puts_the_middleware_behind_the_probes(
    load_module: "LoadModule", production_environ: dict[str, str]
) -> None:
    settings = load_module(
        "config.settings.production", production_environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    )
    assert settings.MIDDLEWARE[:2] == [
        "apps.health.middleware.health_middleware",
        "apps.observability.telemetry.telemetry_middleware",
    ]
    assert settings.OPENTELEMETRY["OTEL_SERVICE_NAME"] == "{{ cookiecutter.project_slug }}"
