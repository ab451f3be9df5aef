"""The entry points of the API: a list of addresses, and Swagger UI."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

# %if cookiecutter.api == "drf"
SCHEMA, VIEWER = "api:schema", "drf_spectacular_sidecar/swagger-ui-dist"
# %else
SCHEMA, VIEWER = "api:openapi-json", "ninja"
# %endif
ENTRY_POINTS = {"docs": "api:docs", "schema": SCHEMA, "v1/users/me": "api:me"}


def entry_points(request: HttpRequest) -> dict[str, str]:
    """Return addresses by name."""
    absolute = request.build_absolute_uri
    return {name: absolute(reverse(view)) for name, view in ENTRY_POINTS.items()}


def render_docs(request: HttpRequest) -> HttpResponse:
    context = {"project_name": settings.PROJECT_NAME, "schema_url": reverse(SCHEMA)}
    return render(request, "api/docs.html", context | {"viewer": VIEWER})
