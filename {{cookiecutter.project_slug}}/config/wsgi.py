"""The WSGI application, served by Gunicorn; gunicorn.conf.py says how."""

import os
# %if cookiecutter.metrics == "opentelemetry"
from importlib import import_module
from typing import Any

# %else
from importlib import import_module

# %endif
from django.conf import settings
from django.core.cache import caches
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")


# %if cookiecutter.metrics == "opentelemetry"
def trace_requests(untraced: Any) -> Any:
    """Return an application with a span for each request but probes, static files."""
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    traced = OpenTelemetryMiddleware(untraced)

    def serve(environ: Any, start_response: Any) -> Any:
        is_traced = not environ["PATH_INFO"].startswith(("/health/", "/static/"))
        return (traced if is_traced else untraced)(environ, start_response)

    return serve


application = get_wsgi_application()
if settings.OTEL_ENDPOINT:
    application = trace_requests(application)

# %else
application = get_wsgi_application()

# %endif
# A view that cannot be imported ends the start, not the first request. What is
# loaded here, before the fork, is shared by the workers.
import_module(settings.ROOT_URLCONF)
caches.all()
