"""One JSON object a line on standard output, the same for Django, the server and every command.

https://docs.djangoproject.com/en/stable/topics/logging/
"""

import logging
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonEncoder, JsonFormatter

from apps.observability.request_ids import current_request_id

# What stands for itself in JSON.
SAFE = " !#$&'()*+,/:;<=>?@[]^`{|}~%"
PLAIN = re.compile(rf"[\w.~{re.escape(SAFE)}-]*", re.ASCII)
LONGEST_REASON = 120  # characters
QUERY_STRING = re.compile(r"\?\S*")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# Django hands its request and socket objects over with a record; their text holds the query string.
OBJECTS = ("request", "socket", "server_time", "status_code", "taskName")


class RequestJsonFormatter(JsonFormatter):
    """Level, logger, message, what the code adds, the time in UTC, and the id of the request that is being served.

    Each request writes a line, so what the base class decides anew for each line is settled here.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.encode = JsonEncoder().encode

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        return self.encode(log_data)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data |= {"level": record.levelname, "logger": record.name, "message": record.message, **message_dict}
        if extra := vars(record).keys() - self.reserved_attrs:
            log_data |= {key: value for key, value in vars(record).items() if key in extra and not key.startswith("_")}
        second, rest = divmod(record.created, 1)
        log_data["timestamp"] = f"{iso_second(int(second))}.{int(rest * 1_000_000):06}+00:00"
        if request_id := current_request_id():
            log_data["request_id"] = request_id


class RefusedRequests(logging.Filter):
    """Keeps refused requests to one short line each: anybody can make thousands, of any length.

    What Django says goes into the request's access line. Gunicorn's line is the only one of a request that is not HTTP.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        is_djangos = record.name.startswith("django.security.")
        if not is_djangos and (record.name, record.levelno) != ("gunicorn.error", logging.WARNING):
            return True
        reason = printable(QUERY_STRING.sub("", record.getMessage()), LONGEST_REASON)
        if request := getattr(record, "request", None):
            request.refusal = reason
            return False
        record.msg, record.args = reason, ()
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def printable(text: str, longest: int) -> str:
    """At most so many characters of what a client has sent, percent-encoded where JSON would make them longer."""
    if not PLAIN.fullmatch(text):
        text = quote(text, safe=SAFE, errors="replace")
    return text[:longest]


@lru_cache(maxsize=1)
def iso_second(seconds: int) -> str:
    """ISO 8601 in UTC of so many seconds since the epoch, without the offset; put together once a second."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def json_logging(level: str) -> dict[str, Any]:
    """A LOGGING dictionary; ``level`` is one of LEVELS and holds for the project's own code and for the libraries."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": RequestJsonFormatter, "reserved_attrs": [*RESERVED_ATTRS, *OBJECTS]},
        },
        "filters": {"refused_requests": {"()": RefusedRequests}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
                "filters": ["refused_requests"],
            }
        },
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Django and Gunicorn bring handlers of their own; an empty list takes them away.
            "django": {"handlers": [], "level": "NOTSET", "propagate": True},
            "django.server": {"handlers": [], "level": "NOTSET", "propagate": True},
            # The access line has the status already: only what broke needs a second one.
            "django.request": {"handlers": [], "level": "ERROR", "propagate": True},
            # At DEBUG it writes the values of queries.
            "django.db.backends": {"level": "INFO"},
            # One line for each retry, for instance while Sentry cannot be reached.
            "urllib3.connectionpool": {"level": "ERROR"},
            # At DEBUG it makes lines for each request, only to drop them.
            "sentry_sdk.errors": {"level": "INFO"},
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True},
        },
    }
