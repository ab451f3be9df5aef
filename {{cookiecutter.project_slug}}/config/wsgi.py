"""The WSGI application that Gunicorn serves; gunicorn.conf.py says how."""

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.wsgi import get_wsgi_application

from apps.edge.wsgi import with_edge
from apps.security.content_types import readable
from apps.security.slow_clients import time_body

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

# The edge within: Gunicorn's thread would go on waiting for the head of a request that it has answered.
http_application = time_body(with_edge(get_wsgi_application()))

# A view that cannot be imported ends the start, not the first request; and the workers share what is loaded here.
import_module(settings.ROOT_URLCONF)
caches.all()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What answers requests, handed nothing that Django cannot read."""
    if content_type := environ.get("CONTENT_TYPE"):
        environ["CONTENT_TYPE"] = readable(content_type)
    return http_application(environ, start_response)
