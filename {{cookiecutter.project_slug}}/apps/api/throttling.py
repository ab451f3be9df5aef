"""How often the API may be called: by user, or by address without log-in."""

from typing import Any

from rest_framework import exceptions, throttling, views
from rest_framework.request import Request
from rest_framework.response import Response

from core.proxies import UNKNOWN, client_network


class AnonThrottle(throttling.AnonRateThrottle):
    """By address; an unknown one is left to the proxy: strangers would share it."""

    def get_ident(self, request: Request) -> str:
        return client_network(request)

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        is_known = self.get_ident(request) != UNKNOWN
        return super().get_cache_key(request, view) if is_known else None


class UserThrottle(throttling.UserRateThrottle):
    """By user."""

    def allow_request(self, request: Request, view: Any) -> bool:
        is_user = request.user.is_authenticated
        return not is_user or super().allow_request(request, view)


def count_refusals(error: Exception, context: dict[str, Any]) -> Response | None:
    """Count refused requests too: by itself the framework counts after it refuses.

    https://www.django-rest-framework.org/api-guide/exceptions/#custom-exception-handling
    """
    if isinstance(
        error,
        (
            exceptions.AuthenticationFailed,
            exceptions.NotAuthenticated,
            exceptions.PermissionDenied,
        ),
    ):
        try:
            context["view"].check_throttles(context["request"])
        except exceptions.Throttled as too_many:
            error = too_many
    return views.exception_handler(error, context)
