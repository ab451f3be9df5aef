"""Views as a team adds them; the drills copy this file into their projects."""

import asyncio
import logging
import os
import secrets
import tempfile
import time

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import connection
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

logger = logging.getLogger(__name__)


def ping(request: HttpRequest) -> HttpResponse:
    """Use neither the database nor the cache."""
    return JsonResponse({"pid": os.getpid()})


def row(request: HttpRequest) -> HttpResponse:
    """Read one row from the database."""
    models = ContentType.objects.order_by("pk").values_list("model", flat=True)
    return JsonResponse({"model": models[0]})


async def row_async(request: HttpRequest) -> HttpResponse:
    """Read one row from the database in a coroutine."""
    models = ContentType.objects.order_by("pk").values_list("model", flat=True)
    return JsonResponse({"model": await models.afirst()})


def cached(request: HttpRequest) -> HttpResponse:
    """Write to the cache and read it back; 503 if it does not keep what is written."""
    key = secrets.token_hex(8)
    cache.set(key, key, timeout=10)
    return JsonResponse({}, status=200 if cache.get(key) == key else 503)


def slow(request: HttpRequest, seconds: int) -> HttpResponse:
    """Sleep in the thread that serves the request."""
    logger.info("a slow request begins")
    time.sleep(seconds)
    return JsonResponse({"slept": seconds})


async def slow_async(request: HttpRequest, seconds: int) -> HttpResponse:
    """Sleep in a coroutine."""
    logger.info("a slow request begins")
    await asyncio.sleep(seconds)
    return JsonResponse({"slept": seconds})


@csrf_exempt
def body(request: HttpRequest) -> HttpResponse:
    """Read a body of any type at once."""
    return JsonResponse({"bytes": len(request.body)})


@csrf_exempt
def received(request: HttpRequest) -> HttpResponse:
    """Read a body of any size in pieces."""
    pieces = iter(lambda: request.read(65536), b"")
    return JsonResponse({"bytes": sum(len(piece) for piece in pieces)})


@csrf_exempt
def heard(request: HttpRequest) -> HttpResponse:
    """Return the headers that arrive."""
    return JsonResponse(dict(request.headers))


def error(request: HttpRequest) -> HttpResponse:
    """Raise an unexpected error."""
    raise RuntimeError("drilled")


async def error_async(request: HttpRequest) -> HttpResponse:
    """Raise an unexpected error in a coroutine."""
    raise RuntimeError("drilled")


def forbidden(request: HttpRequest) -> HttpResponse:
    """Refuse a user."""
    raise PermissionDenied


def suspicious(request: HttpRequest) -> HttpResponse:
    """Refuse a suspicious request."""
    raise SuspiciousOperation("drilled")


class Upload(forms.Form):
    image = forms.ImageField()


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """Validate a form with an image."""
    form = Upload(request.POST, request.FILES)
    return JsonResponse({"errors": form.errors}, status=200 if form.is_valid() else 400)


def link(request: HttpRequest, signed: str) -> HttpResponse:
    """Check a link that an earlier release or another instance signed."""
    try:
        return JsonResponse({"user": signing.loads(signed, salt="drill", max_age=3600)})
    except signing.BadSignature:
        return JsonResponse({"error": "bad signature"}, status=403)


def reset(request: HttpRequest, username: str, token: str) -> HttpResponse:
    """Check the token of a link to reset a password."""
    user = get_user_model().objects.get(username=username)
    is_valid = default_token_generator.check_token(user, token)
    return JsonResponse({}, status=200 if is_valid else 403)


def download(request: HttpRequest, mib: int) -> FileResponse:
    """Send a file of zeros."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    file.truncate(mib * 2**20)
    return FileResponse(file)


def export(request: HttpRequest, seconds: int) -> StreamingHttpResponse:
    """Ask the database in the view, then send two pieces, so many seconds apart."""
    models = ContentType.objects.count()

    def pieces():
        yield f"{models}\n"
        time.sleep(seconds)
        yield "end\n"

    return StreamingHttpResponse(pieces())


def export_in_parts(request: HttpRequest) -> StreamingHttpResponse:
    """Ask the database before each of many pieces, and give its connection back.

    They are larger than the buffers on the way: a client that does not read stops them.
    """

    def pieces():
        for number in range(100):
            models = ContentType.objects.count()
            connection.close()
            yield f"{number} {models}\n" * 200_000

    return StreamingHttpResponse(pieces())


urlpatterns = [
    path("ping/", ping),
    path("row/", row),
    path("row-async/", row_async),
    path("cached/", cached),
    path("slow/<int:seconds>/", slow),
    path("slow-async/<int:seconds>/", slow_async),
    path("body/", body),
    path("received/", received),
    path("heard/", heard),
    path("error/", error),
    path("error-async/", error_async),
    path("forbidden/", forbidden),
    path("suspicious/", suspicious),
    path("upload/", upload),
    path("download/<int:mib>/", download),
    path("export/<int:seconds>/", export),
    path("export-in-parts/", export_in_parts),
    path("link/<str:signed>/", link),
    path("reset/<str:username>/<str:token>/", reset),
]
