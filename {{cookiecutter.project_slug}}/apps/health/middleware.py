"""Answers /health/live/ and /health/ready/ before hosts, redirects and sessions are looked at.

Probes come over plain HTTP and name the host by its address; nothing behind this middleware would let them in.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from apps.health.readiness import is_draining, start_checks
from apps.observability.request_ids import begin_request

LIVE = "/health/live/"
READY = "/health/ready/"


@sync_and_async_middleware
def health_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """200 from the live path while the process answers; 200 or 503 from the ready path."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        if request.path_info == READY:
            return readiness(request, {name: check.passes() for name, check in start_checks().items()})
        if request.path_info == LIVE:
            return answer(request, 200, {"status": "ok"})
        response: HttpResponseBase = get_response(request)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        if request.path_info == READY:
            return readiness(request, {name: await check.passes_async() for name, check in start_checks().items()})
        if request.path_info == LIVE:
            return answer(request, 200, {"status": "ok"})
        response: HttpResponseBase = await get_response(request)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


def readiness(request: HttpRequest, passed: Mapping[str, bool]) -> JsonResponse:
    """The answer to a readiness probe from the checks by name; while the instance drains, ``drain`` fails too."""
    if is_draining():
        passed = {**passed, "drain": False}
    checks = {name: "ok" if passes else "failing" for name, passes in passed.items()}
    if all(passed.values()):
        return answer(request, 200, {"status": "ok", "checks": checks})
    return answer(request, 503, {"status": "unavailable", "checks": checks})


def answer(request: HttpRequest, status: int, body: Mapping[str, object]) -> JsonResponse:
    response = JsonResponse(body, status=status)
    response.headers["X-Request-ID"] = begin_request(request.headers.get("x-request-id", ""))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Length"] = str(len(response.content))
    # Django would log each 503 as an error; whoever probes knows.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
