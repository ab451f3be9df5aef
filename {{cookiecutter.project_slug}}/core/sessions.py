"""Look a session up only if its cookie can be a session key."""

from django.conf import settings
from django.contrib.sessions import middleware
from django.http import HttpRequest


class SessionMiddleware(middleware.SessionMiddleware):
    """Drop a cookie that Django did not make: a null byte breaks some databases."""

    def process_request(self, request: HttpRequest) -> None:
        name = settings.SESSION_COOKIE_NAME
        if not request.COOKIES.get(name, "").isalnum():
            request.COOKIES.pop(name, None)
        super().process_request(request)
