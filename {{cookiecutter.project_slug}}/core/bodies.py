"""Refuse a request body that costs too much, if possible before anything reads it."""

from codecs import lookup
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views import defaults

from core.middleware import before

# Django takes any codec of Python: "punycode" works for minutes, "hex" is no text.
CHARSETS = {"ascii", "iso8859-1", "utf-8"}


@before
def body_middleware(request: HttpRequest) -> HttpResponse | None:
    """Answer 413 above REQUEST_MAX_BODY_SIZE, 411 without a length, or 415.

    Without a length a body looks empty to the view, or is read without a limit.
    """
    meta, limit = request.META, settings.REQUEST_MAX_BODY_SIZE
    length = meta.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) > limit:
        return too_large(limit)
    if "HTTP_TRANSFER_ENCODING" in meta:
        return refuse(411, "The request needs a Content-Length alone.\n")
    if request.encoding and lookup(request.encoding).name not in CHARSETS:
        return refuse(415, "The request needs charset=utf-8.\n")
    return None


def bad_request(
    request: HttpRequest,
    exception: Exception,
    page: Callable[..., HttpResponse] = defaults.bad_request,
) -> HttpResponse:
    """Answer 413, where Django has 400, to a form or to JSON that is too large.

    https://docs.djangoproject.com/en/stable/ref/views/#http-bad-request-view
    """
    if isinstance(exception, RequestDataTooBig):
        return too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return page(request, exception)


def too_large(limit: int) -> HttpResponse:
    return refuse(413, f"The request is larger than {limit} bytes.\n")


def refuse(status: int, text: str) -> HttpResponse:
    return HttpResponse(text, "text/plain", status, headers={"Connection": "close"})
