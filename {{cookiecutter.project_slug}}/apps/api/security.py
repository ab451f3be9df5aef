"""Who may call the API, and how often."""

import threading
from typing import cast

from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security import HttpBearer
from ninja.security import SessionAuth as NinjaSessionAuth
from ninja.throttling import AnonRateThrottle, UserRateThrottle

from apps.api.models import AccessToken, hash_token
from apps.users.models import User
from core.proxies import UNKNOWN, client_network


class AuthenticatedRequest(HttpRequest):
    """The request as an operation sees it."""

    user: User


class BearerAuth(HttpBearer):
    """``Authorization: Bearer TOKEN`` (RFC 6750)."""

    def authenticate(self, request: HttpRequest, token: str) -> User:
        tokens = AccessToken.objects.select_related("user")
        access = tokens.filter(digest=hash_token(token)).first()
        if access is None or not access.is_valid():
            raise AuthenticationError(message="Invalid token.")
        request.user = access.user
        return access.user


class SessionAuth(NinjaSessionAuth):
    """The site's own log-in; a request that changes data also needs the CSRF token."""

    def __call__(self, request: HttpRequest) -> User | None:
        # Before the CSRF check: an anonymous client gets 401, not 403.
        if not request.user.is_authenticated:
            return None
        return cast("User | None", super().__call__(request))


# Ninja counts on the throttle object, which all threads share: give each its own.
class AnonThrottle(threading.local, AnonRateThrottle):
    """By address; an unknown one is left to the proxy: strangers would share it."""

    def get_ident(self, request: HttpRequest) -> str:
        return client_network(request)

    def allow_request(self, request: HttpRequest) -> bool:
        return self.get_ident(request) == UNKNOWN or super().allow_request(request)


class UserThrottle(threading.local, UserRateThrottle):
    """By user."""

    def allow_request(self, request: HttpRequest) -> bool:
        return not request.user.is_authenticated or super().allow_request(request)
