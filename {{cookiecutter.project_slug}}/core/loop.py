"""Django's own middleware on the event loop: only what may wait goes to a thread.

As Django ships it, each hook of each middleware is a hop to a thread and back.
https://docs.djangoproject.com/en/stable/topics/http/middleware/#asynchronous-support
"""

from collections.abc import Awaitable, Callable

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import get_messages
from django.contrib.messages import middleware as messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware import common, csp
from django.utils.deprecation import MiddlewareMixin

from core import sessions


class OnLoop(MiddlewareMixin):
    """Call process_request and process_response on the loop."""

    sync_capable = False
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]  # type: ignore[assignment]

    def waits(self, request: HttpRequest) -> bool:
        """Tell whether process_response may wait for a server or a disk."""
        return False

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:  # type: ignore[override]
        before = getattr(self, "process_request", None)
        after = getattr(self, "process_response", None)
        response = before(request) if before else None
        if response is None:
            response = await self.get_response(request)
        if after and self.waits(request):
            return await sync_to_async(after)(request, response)
        return after(request, response) if after else response


class SessionMiddleware(OnLoop, sessions.SessionMiddleware):
    def waits(self, request: HttpRequest) -> bool:
        """A session that has changed is saved."""
        return settings.SESSION_SAVE_EVERY_REQUEST or request.session.modified


class CommonMiddleware(OnLoop, common.CommonMiddleware):
    pass


class AuthenticationMiddleware(OnLoop, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(OnLoop, messages.MessageMiddleware):
    def waits(self, request: HttpRequest) -> bool:
        """Messages that were read or added are kept in the session."""
        storage = get_messages(request)
        return storage.used or storage.added_new


class ContentSecurityPolicyMiddleware(OnLoop, csp.ContentSecurityPolicyMiddleware):
    pass
