"""What leaves by OpenTelemetry, and what does not."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from core.telemetry import SafeSpan


def test_a_request_is_told_by_its_route() -> None:
    said = {"http.request.method": "GET", "url.path": "/static/s3cret"}
    assert trace(SpanKind.SERVER, said).name == "GET"
    said["url.path"] = "/.well-known/security.txt"
    span = trace(SpanKind.SERVER, {**said, "url.query": "token=s3cret"})
    assert span.name == "GET /.well-known/security.txt"
    assert set(span.attributes) == {"http.request.method", "http.route"}


@pytest.mark.parametrize(
    ("query", "is_told"),
    [("SELECT %s LIMIT 21", True), ("SELECT 's3cret'", False), ("SELECT 49170", False)],
)
def test_a_query_is_told_without_values(query: str, is_told: bool) -> None:
    span = trace(SpanKind.CLIENT, {"db.query.text": query, "server.address": "db.test"})
    assert span.attributes == ({"db.query.text": query} if is_told else {})


def test_the_message_of_an_exception_stays() -> None:
    span = trace(SpanKind.CLIENT, {}, lambda: int("s3cret"))
    assert "s3cret" in span.span.events[0].attributes["exception.message"]
    assert (span.events, span.status.description) == ((), None)


def trace(
    kind: SpanKind, said: dict[str, str], work: Callable[[], Any] = lambda: None
) -> SafeSpan:
    """Work within a span, and return what leaves of it."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer(__name__)
    with (
        suppress(ValueError),
        tracer.start_as_current_span("s3cret", kind=kind, attributes=said),
    ):
        work()
    return SafeSpan(exporter.get_finished_spans()[0])
