"""Django's ASGI handler, with Django's own middleware on the event loop.

As it comes, each of its hooks is called in a thread, one after the other, because it might wait for something: thirteen
times a request with the middleware of a new project. Nearly all of them only compute.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

from apps.security.middleware import WellFormedSessionMiddleware

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}


class Inline(MiddlewareMixin):
    """Calls the hooks of a middleware where the request is; in a thread only what may wait for a server or a disk."""

    get_response: Callable[[HttpRequest], Any]

    def may_wait(self, request: HttpRequest) -> bool:
        """Whether what is left to be done with the response may take its time."""
        return False

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        early = self.process_request(request) if hasattr(self, "process_request") else None
        response: HttpResponseBase = early or await self.get_response(request)
        if hasattr(self, "process_response"):
            process: Callable[..., HttpResponseBase] = self.process_response
            waits = self.may_wait(request)
            response = await sync_to_async(process)(request, response) if waits else process(request, response)
        return response


class Security(Inline, SecurityMiddleware):
    pass


class Session(Inline, WellFormedSessionMiddleware):
    def may_wait(self, request: HttpRequest) -> bool:
        """A session that has changed is saved."""
        return settings.SESSION_SAVE_EVERY_REQUEST or getattr(getattr(request, "session", None), "modified", False)


class Common(Inline, CommonMiddleware):
    pass


class Csrf(Inline, CsrfViewMiddleware):
    async def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:  # type: ignore[override]
        """The token of a form is in its body, which is parsed for that, however large it is."""
        check: Callable[..., HttpResponse | None] = super().process_view
        return check(request, *view) if request.method in SAFE_METHODS else await sync_to_async(check)(request, *view)


class Authentication(Inline, AuthenticationMiddleware):
    pass


class Message(Inline, MessageMiddleware):
    def may_wait(self, request: HttpRequest) -> bool:
        """Messages that were read or left are taken from the session, or put there."""
        messages = getattr(request, "_messages", None)
        return messages is not None and (messages.used or messages.added_new)


class XFrameOptions(Inline, XFrameOptionsMiddleware):
    pass


INLINE = {
    f"{base.__module__}.{base.__qualname__}": f"{inline.__module__}.{inline.__qualname__}"
    for inline in Inline.__subclasses__()
    for base in inline.__bases__[1:]
}
if settings.CSRF_USE_SESSIONS:
    # Its hooks may wait for the session then.
    del INLINE["django.middleware.csrf.CsrfViewMiddleware"]


class Handler(ASGIHandler):
    """MIDDLEWARE keeps Django's names, by which its checks know whether a middleware is there."""

    def load_middleware(self, is_async: bool = False) -> None:
        listed = settings.MIDDLEWARE
        settings.MIDDLEWARE = [INLINE.get(path, path) for path in listed]
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = listed
