"""Static files without Django's middleware, and yet with the headers and the access line that it gives them."""

from functools import cache
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import Response, StaticFile

from apps.observability.middleware import log_access
from apps.observability.request_ids import begin_request, end_request, proposed_id
from apps.security.middleware import find_client


def find_files() -> dict[str, StaticFile]:
    """The collected files by their paths, as they are when the server starts."""
    files: dict[str, Any] = WhiteNoiseMiddleware().files
    return {path: file for path, file in files.items() if isinstance(file, StaticFile)}


def answer(file: StaticFile, path: str, meta: dict[str, Any]) -> Response | None:
    """Status, headers and open file for a GET request; None where Django has to answer.

    That is a request that has to be redirected to HTTPS, and a file that is gone since the server started. ``meta`` is a dictionary like ``HttpRequest.META``, which is changed.
    """
    started = perf_counter()
    find_client(meta)
    request = HttpRequest()
    request.META, request.method, request.path = meta, meta["REQUEST_METHOD"], path
    is_secure = request.is_secure()
    if settings.SECURE_SSL_REDIRECT and not is_secure:
        return None
    request_id = begin_request(proposed_id(meta))
    try:
        found = file.get_response(request.method, meta)
        log_access(request, found.status, started)
    except OSError:
        return None
    finally:
        end_request()
    # A new one: WhiteNoise hands out the same one each time that a browser has the file already.
    headers = [*found.headers, *security_headers(is_secure), ("X-Request-ID", request_id)]
    return Response(found.status, headers, found.file)


@cache
def security_headers(is_secure: bool) -> list[tuple[str, str]]:
    """What SecurityMiddleware adds to every response to a request that came over HTTPS, or did not."""
    request = HttpRequest()
    request._get_scheme = lambda: "https" if is_secure else "http"  # type: ignore[attr-defined]
    response = HttpResponse()
    del response.headers["Content-Type"]
    SecurityMiddleware(lambda request: response).process_response(request, response)
    return list(response.headers.items())
