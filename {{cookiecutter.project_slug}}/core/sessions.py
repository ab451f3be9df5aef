"""Look a session up only where its cookie can be the key of one."""

from django.conf import settings
from django.contrib.sessions import middleware
from django.http import HttpRequest


class SessionMiddleware(middleware.SessionMiddleware):
    """Drop a cookie that Django has not made: a null byte may be a database's error."""

    def process_request(self, request: HttpRequest) -> None:
        name = settings.SESSION_COOKIE_NAME
        if not request.COOKIES.get(name, "").isalnum():
            request.COOKIES.pop(name, None)
        super().process_request(request)
