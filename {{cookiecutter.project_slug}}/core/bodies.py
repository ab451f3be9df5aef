"""Refuse a request body that is too large before anything reads it."""

from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.middleware import before


@before
def body_middleware(request: HttpRequest) -> HttpResponse | None:
    """Answer 413 above REQUEST_MAX_BODY_SIZE, and 411 to a body without a length.

    Without a length a body looks empty to the view, or is read without a limit.
    """
    meta, limit = request.META, settings.REQUEST_MAX_BODY_SIZE
    length = meta.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) > limit:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        text = f"The request is larger than {limit} bytes.\n"
    elif "HTTP_TRANSFER_ENCODING" in meta and not length:
        status = HTTPStatus.LENGTH_REQUIRED
        text = "The request needs a Content-Length.\n"
    else:
        return None
    return HttpResponse(text, "text/plain", status, headers={"Connection": "close"})
