"""The WSGI application, served by Gunicorn; gunicorn.conf.py says how."""

import os
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

django_application = get_wsgi_application()

# A view that cannot be imported ends the start, not the first request. What is
# loaded here, before the fork, is shared by the workers.
import_module(settings.ROOT_URLCONF)
caches.all()


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Read what a view has left of a body, before its answer is sent.

    Gunicorn closes a connection with more than 64 KiB of it, and a proxy in front then
    answers 502 instead. core.bodies refuses what is too large.
    """
    response = django_application(environ, start_response)
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) <= settings.REQUEST_MAX_BODY_SIZE:
        while environ["wsgi.input"].read(64 * 1024):
            pass
    return response
