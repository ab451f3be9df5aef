"""Answers /health/live/ and /health/ready/ before hosts, redirects and sessions are looked at.

Probes come over plain HTTP and name the host by its address; nothing behind this middleware would let them in. In
production apps.edge gives the same answers before Django is asked.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import json
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from apps.health.readiness import all_pass, all_pass_async, is_draining
from apps.observability.request_ids import choose_request_id, proposed_id

LIVE = "/health/live/"
READY = "/health/ready/"

type Answer = tuple[int, dict[str, str], bytes]


@sync_and_async_middleware
def health_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """200 from the live path while the process answers; 200 or 503 from the ready path."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            if request.path_info == READY:
                return respond(readiness(all_pass(), request.META))
            if request.path_info == LIVE:
                return respond(liveness(request.META))
        response: HttpResponseBase = get_response(request)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            if request.path_info == READY:
                return respond(readiness(await all_pass_async(), request.META))
            if request.path_info == LIVE:
                return respond(liveness(request.META))
        response: HttpResponseBase = await get_response(request)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


def liveness(meta: Mapping[str, Any]) -> Answer:
    """Status, headers and body while the process can answer; ``meta`` is a mapping like ``HttpRequest.META``."""
    return answer(meta, 200, {"status": "ok"})


def readiness(passed: Mapping[str, bool], meta: Mapping[str, Any]) -> Answer:
    """Status, headers and body from the checks by name; while the instance drains, ``drain`` fails too."""
    if is_draining():
        passed = {**passed, "drain": False}
    checks = {name: "ok" if passes else "failing" for name, passes in passed.items()}
    if all(passed.values()):
        return answer(meta, 200, {"status": "ok", "checks": checks})
    return answer(meta, 503, {"status": "unavailable", "checks": checks})


def answer(meta: Mapping[str, Any], status: int, content: Mapping[str, object]) -> Answer:
    body = json.dumps(content).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Request-ID": choose_request_id(proposed_id(meta)),
    }
    return status, headers, body


def respond(answer: Answer) -> HttpResponse:
    status, headers, body = answer
    response = HttpResponse(body, status=status, headers=headers)
    # Django would log each 503 as an error; whoever probes knows.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
