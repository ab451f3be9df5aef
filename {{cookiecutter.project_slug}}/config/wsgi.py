"""The WSGI application, served by Gunicorn; gunicorn.conf.py says how."""

import os
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import BadRequest
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

django_application: Any = get_wsgi_application()
# %if cookiecutter.metrics == "opentelemetry"
if settings.OTEL_ENDPOINT:
    telemetry = import_module("core.telemetry")
    django_application = telemetry.trace_requests(django_application)
# %endif

# A view that cannot be imported ends the start, not the first request. What is
# loaded here, before the fork, is shared by the workers.
import_module(settings.ROOT_URLCONF)
caches.all()


class WholeBody:
    """Answer 400 if the client leaves before the end of its body.

    Gunicorn gives the view what has come, as if that were all, or raises an OSError,
    which Django answers with 500.
    """

    def __init__(self, body: Any) -> None:
        self.body, self.readline = body, body.readline

    def read(self, size: int) -> bytes:
        """Return so many bytes: Django never asks for more than were announced."""
        try:
            piece: bytes = self.body.read(size)
        except OSError:
            piece = b""
        if len(piece) < size:
            raise BadRequest("The body ends too early.")
        return piece


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Read what a view has left of a body, before its answer is sent.

    Gunicorn closes a connection with more than 64 KiB of it, and a proxy in front then
    answers 502 instead. core.bodies refuses what is too large.
    """
    body = environ["wsgi.input"]
    environ["wsgi.input"] = WholeBody(body)
    response = django_application(environ, start_response)
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) <= settings.REQUEST_MAX_BODY_SIZE:
        while body.read(64 * 1024):
            pass
    return response
