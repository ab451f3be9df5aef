"""The ASGI application that uvicorn serves; gunicorn.conf.py says how."""

import os
from importlib import import_module
from typing import Any

import django
from django.conf import settings
from django.core.cache import caches

from apps.edge.asgi import with_edge
from apps.security.bodies import Receive, Send, limit_body
from apps.security.content_types import readable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

django.setup(set_prefix=False)

# Only now: it needs the applications.
from apps.edge.handler import Handler  # noqa: E402

http_application = with_edge(limit_body(Handler(), settings.REQUEST_MAX_BODY_SIZE))

# A view that cannot be imported ends the start, not the first request; and the workers share what is loaded here.
import_module(settings.ROOT_URLCONF)
caches.all()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """What answers requests, with the server's start and stop answered beside it."""
    if scope["type"] == "lifespan":
        await live(receive, send)
    else:
        headers = [(name, read_type(value) if name == b"content-type" else value) for name, value in scope["headers"]]
        await http_application({**scope, "headers": headers}, receive, send)


def read_type(content_type: bytes) -> bytes:
    return readable(content_type.decode("latin-1")).encode("latin-1")


# %if cookiecutter.database == "postgresql"
def close_pools() -> None:
    """Close the pools, so that their connections are ended in order and their threads hold nothing up."""
    from django.db import connections

    for connection in connections.all():
        if connection.vendor == "postgresql":
            connection.close_pool()  # type: ignore[attr-defined]


# %endif
async def live(receive: Receive, send: Send) -> None:
    """https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""
    while True:
        message = await receive()
        # %if cookiecutter.metrics == "opentelemetry"
        if message["type"] == "lifespan.shutdown" and settings.OPENTELEMETRY:
            from apps.observability import telemetry

            telemetry.stop()
        # %endif
        # %if cookiecutter.database == "postgresql"
        if message["type"] == "lifespan.shutdown":
            close_pools()
        # %endif
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
