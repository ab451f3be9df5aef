"""The ASGI application, served by uvicorn; gunicorn.conf.py says how."""

import os
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.cache import caches

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

django_application: Any = get_asgi_application()
# %if cookiecutter.metrics == "opentelemetry"
if settings.OTEL_ENDPOINT:
    telemetry = import_module("core.telemetry")
    django_application = telemetry.trace_requests(django_application)
# %endif

# A view that cannot be imported ends the start, not the first request. What is
# loaded here, before the fork, is shared by the workers.
import_module(settings.ROOT_URLCONF)
caches.all()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Hand over a body only if core.bodies will not refuse it.

    Django stores a body whole before the first middleware sees the request.
    """
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    is_large = length.isdigit() and int(length) > settings.REQUEST_MAX_BODY_SIZE
    if is_large or b"transfer-encoding" in headers:
        receive = without_body(receive).__anext__
    await django_application(scope, receive, send)


async def without_body(receive: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "http.request"}
    while True:
        if (message := await receive())["type"] != "http.request":
            yield message
