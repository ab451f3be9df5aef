"""How often the API may be called: by user, or by address without log-in."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import exceptions as errors
from rest_framework import throttling, views
from rest_framework.request import Request
from rest_framework.response import Response

from core.proxies import UNKNOWN, client_network


class AnonThrottle(throttling.AnonRateThrottle):
    """By address; an unknown one is left to the proxy: strangers would share it."""

    get_ident = staticmethod(client_network)

    def allow_request(self, request: Request, view: Any) -> bool:
        is_unknown = client_network(request) == UNKNOWN
        return is_unknown or super().allow_request(request, view)


class UserThrottle(throttling.UserRateThrottle):
    """By user."""

    def get_cache_key(self, request: Request, view: Any) -> Any:
        return super().get_cache_key(request, view) if request.user.pk else None


def handle_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Count refused requests too: the framework refuses before it counts.

    JSON that is nested too deeply, or a cursor of a list that somebody has made up, is
    an error of the client.
    https://www.django-rest-framework.org/api-guide/exceptions/#custom-exception-handling
    """
    if getattr(error, "status_code", None) in (401, 403):
        try:
            context["view"].check_throttles(context["request"])
        except errors.Throttled as too_many:
            error = too_many
    if isinstance(error, RecursionError | ValidationError):
        error = errors.ParseError()
    return views.exception_handler(error, context)
