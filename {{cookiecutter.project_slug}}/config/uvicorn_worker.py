"""uvicorn as a worker of Gunicorn, which starts it, notices when it hangs, and replaces it.

https://github.com/Kludex/uvicorn-worker
"""

import asyncio
import logging
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn_worker import UvicornWorker

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
HEAD_TIMEOUT_S = 20.0


class HeadTooLargeError(ValueError):
    """Of the request line and the headers."""


class Protocol(HttpToolsProtocol):
    """Limits the head of a request: uvicorn takes whatever a client sends, for as long as it likes to send it."""

    refusal = 400
    head_bytes = 0
    head_timer: asyncio.TimerHandle | None = None  # while a head has begun and not ended

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.end_head()
        self.head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.refuse, 408, "The request did not arrive in time.")

    def data_received(self, data: bytes) -> None:
        goes_on = self.head_timer is not None
        super().data_received(data)
        # The parser says nothing of a header that has no end.
        if goes_on and self.head_timer is not None:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES:
                self.refuse(431, "The request's headers are too large.")

    def on_headers_complete(self) -> None:
        self.end_head()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self.refusal = 431
            raise HeadTooLargeError
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end_head()
        super().connection_lost(exc)

    def end_head(self) -> None:
        self.head_bytes = 0
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def refuse(self, status: int, text: str) -> None:
        self.end_head()
        self.logger.warning(text)
        self.refusal = status
        self.send_400_response(text)

    def send_400_response(self, msg: str) -> None:
        """Answer a head that cannot be parsed; here also with another status."""
        body = msg.encode()
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[self.refusal] + head + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """No line: whoever asks for a WebSocket is answered as if it had not asked, as RFC 9110 (section 7.8) allows."""


class Worker(UvicornWorker):
    """Leaves the access line, the proxies' headers and the log's format to the project."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": Protocol,
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The base class cuts uvicorn's logger off from the root, where the handler is.
        logging.getLogger("uvicorn.error").propagate = True
        # Ends before Gunicorn loses patience, so that the lifespan's shutdown always runs.
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - 2)
