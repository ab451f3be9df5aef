"""The API's URLs. Each version has its own prefix and does not change for clients."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from ninja import NinjaAPI
from ninja.errors import AuthenticationError

from apps.api import users
from apps.api.docs import docs, entry_points
from apps.api.security import AnonThrottle, BearerAuth, SessionAuth, UserThrottle

api = NinjaAPI(
    title=settings.PROJECT_NAME,
    version=settings.PROJECT_VERSION,
    description=settings.PROJECT_DESCRIPTION,
    urls_namespace="api",
    openapi_url="openapi.json",
    docs_url=None,
    auth=[BearerAuth(), SessionAuth()],
    throttle=[AnonThrottle(), UserThrottle()],
)
api.add_router("v1/users/", users.router)


@api.get("", auth=None, include_in_schema=False)
def index(request: HttpRequest) -> dict[str, str]:
    return entry_points(request)


@api.exception_handler(AuthenticationError)
def refuse(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    """Say in a refusal how to log in (RFC 9110, section 15.5.2)."""
    response = api.create_response(
        request, {"detail": str(error)}, status=error.status_code
    )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


urlpatterns = [
    path("docs/", docs, name="api-docs"),
    path("", api.urls),
]
