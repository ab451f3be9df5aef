"""A receiver for OTLP over HTTP, to see what a project measures and what it keeps to itself."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.services.process import HOST
from tests.services.service import Service

MESSAGES = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class OTLPReceiver(Service):
    """An HTTP server whose `bodies` and `messages` hold what it was sent (https://opentelemetry.io/docs/specs/otlp/)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bodies: list[bytes] = []
        self.messages: list = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        if self._server is None:
            handler = type("BoundHandler", (_Handler,), {"receiver": self})
            self._server = ThreadingHTTPServer((HOST, self.port), handler)
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def clear(self) -> None:
        self.bodies.clear()
        self.messages.clear()

    def spans(self) -> list[tuple[dict, object, dict]]:
        """Every span: the attributes of its resource, itself, its own attributes."""
        return [
            (read(resource.resource.attributes), span, read(span.attributes))
            for message in list(self.messages)
            for resource in getattr(message, "resource_spans", ())
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> list[tuple[dict, object]]:
        """Every metric of every export: the attributes of its resource, and itself."""
        return [
            (read(resource.resource.attributes), metric)
            for message in list(self.messages)
            for resource in getattr(message, "resource_metrics", ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]


def read(attributes) -> dict[str, object]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


class _Handler(BaseHTTPRequestHandler):
    receiver: OTLPReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.receiver.bodies.append(body)
        self.receiver.messages.append(MESSAGES[self.path].FromString(body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing: the default writes every request to stderr."""
