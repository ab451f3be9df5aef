"""A receiver for Sentry's envelopes: it shows what a project reports and what not."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.services.process import HOST, wait_until
from tests.services.sink import Sink

ENVELOPES = "/api/1/envelope/"


class SentrySink(Sink):
    """An HTTP server for one DSN that keeps error `events` and raw `envelopes`."""

    content_type = "application/json"
    answer = b"{}"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.events: list[dict] = []
        self.envelopes: list[bytes] = []

    @property
    def dsn(self) -> str:
        return f"http://key@{HOST}:{self.port}/1"

    def wait_for_event(self, timeout: float = 10) -> dict:
        """Return the newest event, once there is one."""
        wait_until(lambda: self.events, timeout, "an event arrives")
        return self.events[-1]

    def receive(self, path: str, body: bytes) -> None:
        """Keep the events of an envelope, in `events` and as JSON in the folder."""
        if path != ENVELOPES:
            raise LookupError(path)
        self.envelopes.append(body)
        for kind, payload in _items(body):
            if kind == "event":
                (self.folder / f"{len(self.events) + 1}.json").write_bytes(payload)
                self.events.append(json.loads(payload))


def _items(envelope: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the type and payload of every item of an envelope.

    https://develop.sentry.dev/sdk/foundations/transport/envelopes/
    """
    _, _, rest = envelope.partition(b"\n")
    while rest:
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        length = header.get("length", (rest + b"\n").index(b"\n"))
        yield header["type"], rest[:length]
        rest = rest[length:].lstrip(b"\n")
