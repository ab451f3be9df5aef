"""Who may ask, and how often."""

import threading
from typing import cast

from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security import HttpBearer
from ninja.security import SessionAuth as NinjaSessionAuth
from ninja.throttling import AnonRateThrottle, UserRateThrottle

from apps.api.models import AccessToken
from apps.users.models import User


class AuthenticatedRequest(HttpRequest):
    """The request as an operation sees it."""

    user: User


class BearerAuth(HttpBearer):
    """``Authorization: Bearer TOKEN`` (RFC 6750)."""

    def authenticate(self, request: HttpRequest, token: str) -> User:
        access = AccessToken.objects.find(token)
        if access is None:
            raise AuthenticationError(message="Invalid token.")
        request.user = access.user
        return access.user


class SessionAuth(NinjaSessionAuth):
    """The site's own log-in; whatever changes something needs the CSRF token as well."""

    def __call__(self, request: HttpRequest) -> User | None:
        # Before the CSRF check: who has not logged in is told so.
        if not request.user.is_authenticated:
            return None
        return cast("User | None", super().__call__(request))


# Ninja keeps what it counts on the throttle itself, and one throttle serves every thread: each needs its own.
class AnonThrottle(threading.local, AnonRateThrottle):
    """By address."""


class UserThrottle(threading.local, UserRateThrottle):
    """By user."""
