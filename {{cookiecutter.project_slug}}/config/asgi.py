"""The ASGI application, served by uvicorn; gunicorn.conf.py says how."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.cache import caches

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

type Receive = Callable[[], Awaitable[dict[str, Any]]]

# %if cookiecutter.metrics == "opentelemetry"
django_application: Any = get_asgi_application()
if settings.OTEL_ENDPOINT:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    # A span for each request but probes and static files.
    django_application = OpenTelemetryMiddleware(
        django_application,
        excluded_urls="^[a-z]+://[^/]*/(health|static)/",
        exclude_spans=["receive", "send"],
    )

# %else
django_application = get_asgi_application()

# %endif
# A view that cannot be imported ends the start, not the first request. What is
# loaded here, before the fork, is shared by the workers.
import_module(settings.ROOT_URLCONF)
caches.all()


async def application(scope: dict[str, Any], receive: Receive, send: Any) -> None:
    """Hand over a body only if core.bodies will not refuse it.

    Django stores a body whole before the first middleware sees the request.
    """
    length = dict(scope["headers"]).get(b"content-length", b"")
    if length.isdigit() and int(length) > settings.REQUEST_MAX_BODY_SIZE:
        receive = without_body(receive).__anext__
    await django_application(scope, receive, send)


async def without_body(receive: Receive) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "http.request"}
    while True:
        message = await receive()
        if message["type"] != "http.request":
            yield message
