"""Gives every request an id and every response its line in the access log."""

import asyncio
import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from apps.observability.logs import printable
from apps.observability.request_ids import begin_request, proposed_id

CLIENT_CLOSED_REQUEST = 499  # nginx's status for a client that left before the answer

# Characters, so that a line stays short whatever a client sends.
LONGEST_PATH = 160
LONGEST_USER_AGENT = 140

logger = logging.getLogger("access")


@sync_and_async_middleware
def observability_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """``X-Request-ID`` on the response and one line of the logger ``access``, written when the headers are ready."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        started = perf_counter()
        request_id = begin_request(proposed_id(request.META))
        response: HttpResponseBase = get_response(request)
        response.headers["X-Request-ID"] = request_id
        log_access(request, response.status_code, started)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        started = perf_counter()
        request_id = begin_request(proposed_id(request.META))
        try:
            response: HttpResponseBase = await get_response(request)
        except asyncio.CancelledError:
            log_access(request, CLIENT_CLOSED_REQUEST, started)
            raise
        response.headers["X-Request-ID"] = request_id
        log_access(request, response.status_code, started)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


def log_access(request: HttpRequest, status: int, started: float) -> None:
    """Write the access line; ``started`` is a ``perf_counter()`` reading in seconds."""
    # Why Django has refused it, where it has: apps.observability.logs.
    refusal = getattr(request, "refusal", "")
    level = logging.WARNING if refusal else logging.INFO
    if not logger.isEnabledFor(level):
        return
    meta = request.META
    # No query string: tokens and e-mail addresses travel there.
    path = printable(request.path, LONGEST_PATH)
    # Not logger.log(), which would go and see from which line of code it is called.
    record = logging.LogRecord(logger.name, level, "", 0, f"{request.method} {path} {status}", (), None)
    vars(record).update(
        method=request.method,
        path=path,
        status=status,
        duration_ms=round((perf_counter() - started) * 1000, 1),
        remote_addr=meta.get("REMOTE_ADDR", ""),
        user_agent=printable(meta.get("HTTP_USER_AGENT", ""), LONGEST_USER_AGENT),
    )
    if refusal:
        record.refusal = refusal
    logger.handle(record)
