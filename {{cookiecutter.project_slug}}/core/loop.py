"""Django's own middleware on the event loop: only work that may wait uses a thread.

As Django ships them, each hook of each middleware costs a hop to a thread and back.
https://docs.djangoproject.com/en/stable/topics/http/middleware/#asynchronous-support
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import get_messages
from django.contrib.messages import middleware as messages
from django.http import HttpRequest
from django.middleware import common, csp, locale
from django.utils.deprecation import MiddlewareMixin

from core import sessions


class OnLoop(MiddlewareMixin):
    """Call process_request and process_response on the loop."""

    sync_capable = False
    get_response: Any

    def waits(self, request: HttpRequest) -> bool:
        """Tell whether process_response may wait for a server or a disk."""
        return False

    async def __call__(self, request: HttpRequest) -> Any:
        before: Any = getattr(self, "process_request", lambda request: None)
        after: Any = getattr(self, "process_response", lambda _, response: response)
        response = before(request) or await self.get_response(request)
        if self.waits(request):
            return await sync_to_async(after)(request, response)
        return after(request, response)


class SessionMiddleware(OnLoop, sessions.SessionMiddleware):
    def waits(self, request: HttpRequest) -> bool:
        """A session that has changed is saved to the database or the cache."""
        return settings.SESSION_SAVE_EVERY_REQUEST or request.session.modified


class LocaleMiddleware(OnLoop, locale.LocaleMiddleware):
    """A language is read from the disk once, and then kept."""


class CommonMiddleware(OnLoop, common.CommonMiddleware):
    """Addresses without their last slash are redirected."""


class AuthenticationMiddleware(OnLoop, auth.AuthenticationMiddleware):
    """The user is read when something asks for it."""


class MessageMiddleware(OnLoop, messages.MessageMiddleware):
    def waits(self, request: HttpRequest) -> bool:
        """Messages that were read or added are kept in the session."""
        storage: Any = get_messages(request)
        return bool(storage.used or storage.added_new)


class ContentSecurityPolicyMiddleware(OnLoop, csp.ContentSecurityPolicyMiddleware):
    """The policy, with a new nonce for each response that asks for one."""
