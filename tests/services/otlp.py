"""A receiver for OTLP over HTTP: it shows what a project exports and what not."""

from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from tests.services.process import HOST
from tests.services.sink import Sink

MESSAGES = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


class OTLPReceiver(Sink):
    """An HTTP server that keeps all it receives, as `bodies` and as `messages`.

    The protocol is described at https://opentelemetry.io/docs/specs/otlp/.
    """

    content_type = "application/x-protobuf"
    answer = b""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bodies: list[bytes] = []
        self.messages: list = []

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def receive(self, path: str, body: bytes) -> None:
        message = MESSAGES[path].FromString(body)
        self.bodies.append(body)
        self.messages.append(message)

    def clear(self) -> None:
        self.bodies.clear()
        self.messages.clear()

    def spans(self) -> list[tuple[dict, object, dict]]:
        """Return each span between its resource's attributes and its own."""
        return [
            (read(resource.resource.attributes), span, read(span.attributes))
            for message in list(self.messages)
            for resource in getattr(message, "resource_spans", ())
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> list[tuple[dict, object]]:
        """Return each metric of each export, after its resource's attributes."""
        return [
            (read(resource.resource.attributes), metric)
            for message in list(self.messages)
            for resource in getattr(message, "resource_metrics", ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]


def read(attributes) -> dict[str, object]:
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value"))
        for item in attributes
    }
