"""The API's URLs. Each version has its own prefix and does not change for clients."""

from math import ceil
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError

from apps.api import users
from apps.api.security import AnonThrottle, BearerAuth, SessionAuth, UserThrottle

ENTRY_POINTS = {"docs": "api:docs", "schema": "api:schema", "v1/users/me": "api:me"}

api = NinjaAPI(
    title=settings.PROJECT_NAME,
    version=settings.PROJECT_VERSION,
    description=settings.PROJECT_DESCRIPTION,
    urls_namespace="api",
    openapi_url=None,
    auth=[BearerAuth(), SessionAuth()],
    throttle=[AnonThrottle(), UserThrottle()],
)
# just app NAME adds: api.add_router("v1/NAME/", "apps.NAME.endpoints.router")
api.add_router("v1/users/", users.router)


@api.get("", auth=None, include_in_schema=False)
def index(request: HttpRequest) -> dict[str, str]:
    """Return the addresses of the entry points by their names."""
    absolute = request.build_absolute_uri
    return {name: absolute(reverse(view)) for name, view in ENTRY_POINTS.items()}


@api.get("docs/", auth=None, include_in_schema=False, url_name="docs")
def docs(request: HttpRequest) -> HttpResponse:
    """Show the schema with Swagger UI."""
    return render(request, "api/docs.html", {"viewer": "ninja"})


@api.get("openapi.json", auth=None, include_in_schema=False, url_name="schema")
def schema(request: HttpRequest) -> dict[str, Any]:
    """Return the schema; the page that Ninja has for it would have no limit."""
    return api.get_openapi_schema()


@api.exception_handler(AuthenticationError)
def refuse(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    """Count a refusal too, and say how to log in (RFC 9110, section 15.5.2)."""
    throttle = AnonThrottle()
    if throttle.allow_request(request):
        status, name, value = error.status_code, "WWW-Authenticate", "Bearer"
    else:
        status, name, value = 429, "Retry-After", str(ceil(throttle.wait() or 0))
        error = AuthenticationError(message="Too many requests.")
    response = api.create_response(request, {"detail": str(error)}, status=status)
    response.headers[name] = value
    return response


urlpatterns = [path("", api.urls)]
