"""JSON logs, a request id in every line, and one access line a request.

https://docs.djangoproject.com/en/stable/topics/logging/
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from time import perf_counter
from traceback import format_exception
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from pythonjsonlogger.core import RESERVED_ATTRS

from core.masking import mask, mask_path
from core.middleware import Finish, around

PROBES = ("/health/live/", "/health/ready/")  # neither logged nor traced
LONGEST = 160  # characters that are logged of a client's text
SAFE = " !#$&'()*+,/:;<=>?@[]^`{|}~%"  # stands for itself in JSON

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
logger = logging.getLogger("access")


def begin_request(meta: dict[str, Any]) -> str:
    """Keep a well-formed X-Request-ID, or make an id; set it for this context."""
    proposed = meta.get("HTTP_X_REQUEST_ID", "")
    is_usable = re.fullmatch(r"[A-Za-z0-9._-]{1,128}", proposed)
    chosen: str = proposed if is_usable else uuid4().hex
    request_id.set(chosen)
    return chosen


@around
@contextmanager
def access_middleware(request: HttpRequest) -> Iterator[Finish]:
    """Set X-Request-ID on the response and write the request's line."""
    meta = request.META
    started, chosen = perf_counter(), begin_request(meta)
    status = 499  # nginx's status for a client that left before the answer

    def finish(response: HttpResponseBase) -> None:
        nonlocal status
        status = response.status_code
        response.headers["X-Request-ID"] = chosen

    try:
        yield finish
    finally:
        # A static file that was found needs no line.
        if status >= 400 or not request.path_info.startswith("/static/"):
            line = {
                "method": request.method,
                "path": printable(mask_path(request)),  # without the query string
                "status": status,
                "duration_ms": round((perf_counter() - started) * 1000, 1),
                "remote_addr": meta.get("REMOTE_ADDR", ""),
                "user_agent": printable(meta.get("HTTP_USER_AGENT", "")),
            }
            logger.info("%(method)s %(path)s", line, extra=line)


def printable(text: str) -> str:
    """Return the beginning of a client's text, percent-encoded."""
    return quote(text[:LONGEST], SAFE, errors="replace")[:LONGEST]


class OncePerMinute(logging.Filter):
    """Pass a message once a minute, as a warning: an outage must not fill the log."""

    def __init__(self) -> None:
        super().__init__()
        self.next: dict[Any, float] = {}  # by message, when it may pass again

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self.next.get(record.msg, 0):
            return False
        self.next[record.msg] = record.created + 60
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def safe_message(record: logging.LogRecord) -> str:
    """Return the message without secrets, of the path too."""
    try:
        text = record.getMessage()
    except (KeyError, TypeError, ValueError):  # the arguments do not fit
        text = str(record.msg)
    request = getattr(record, "request", None)
    if isinstance(request, HttpRequest):
        text = text.replace(request.path, mask_path(request))
    return mask(text)


def safe_traceback(record: logging.LogRecord) -> str:
    """Return the traceback without secrets; "" without an exception."""
    error = record.exc_info and record.exc_info[1]
    return mask("".join(format_exception(error)).rstrip()) if error else ""


class RequestFilter(logging.Filter):
    """Add the request id, mask secrets, shorten refusals, drop lines about probes."""

    def filter(self, record: logging.LogRecord) -> Any:
        # Django logs each probe that gets a 503.
        request = getattr(record, "request", None)
        if getattr(request, "path_info", "") in PROBES:
            return False
        # Other handlers get the record as it was.
        record = copy(record)
        if not isinstance(record.msg, dict):
            record.msg, record.args = safe_message(record), ()
        record.exc_text, record.exc_info = safe_traceback(record), None
        if chosen := request_id.get():
            record.request_id = chosen
        # %if cookiecutter.metrics == "opentelemetry"
        from opentelemetry import trace

        if (context := trace.get_current_span().get_span_context()).is_valid:
            record.trace_id = trace.format_trace_id(context.trace_id)
        # %endif
        if record.name.startswith("django.security"):
            # Anybody can cause thousands: one short line each, without a traceback.
            record.msg = printable(str(record.msg).partition("?")[0])
            record.exc_text = ""
        return record


def json_logging(level: str) -> dict[str, Any]:
    """Return LOGGING for a level's name: one JSON object a line on standard output."""
    formatter = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": "%(levelname)s %(name)s %(message)s",
        "rename_fields": {"levelname": "level", "name": "logger"},
        # The request of Django's own records would show the query string.
        "reserved_attrs": [*RESERVED_ATTRS, "request", "status_code"],
        "timestamp": True,
    }
    stdout = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "filters": {"request": {"()": RequestFilter}},
        "handlers": {"stdout": stdout | {"formatter": "json", "filters": ["request"]}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # An empty list removes Django's own handlers.
            "django": {"handlers": [], "level": "NOTSET"},
            # The access line has the status: only errors need a second line.
            "django.request": {"level": "ERROR"},
            # At DEBUG it writes the values of queries.
            "django.db.backends": {"level": "INFO"},
            # The workers' own loggers may copy its handlers.
            "gunicorn.error": {"handlers": ["stdout"], "propagate": False},
        },
    }
