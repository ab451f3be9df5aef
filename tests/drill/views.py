"""Views as a team adds them to its project; the drills copy this file into the projects that they bake."""

import asyncio
import logging
import os
import time

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

logger = logging.getLogger(__name__)


def ping(request: HttpRequest) -> HttpResponse:
    """Neither database nor cache."""
    return JsonResponse({"pid": os.getpid()})


def row(request: HttpRequest) -> HttpResponse:
    """One row from the database."""
    return JsonResponse(
        {"model": ContentType.objects.order_by("pk").values_list("model", flat=True)[0]}
    )


async def row_async(request: HttpRequest) -> HttpResponse:
    """The same, from a view that is a coroutine."""
    first = (
        await ContentType.objects.order_by("pk")
        .values_list("model", flat=True)
        .afirst()
    )
    return JsonResponse({"model": first})


def slow(request: HttpRequest, seconds: int) -> HttpResponse:
    """A request that takes its time, in the thread that serves it."""
    logger.info("a slow request begins")
    time.sleep(seconds)
    return JsonResponse({"slept": seconds})


async def slow_async(request: HttpRequest, seconds: int) -> HttpResponse:
    """A request that takes its time, as a coroutine."""
    logger.info("a slow request begins")
    await asyncio.sleep(seconds)
    return JsonResponse({"slept": seconds})


@csrf_exempt
def body(request: HttpRequest) -> HttpResponse:
    """A body of any kind, read whole."""
    return JsonResponse({"bytes": len(request.body)})


@csrf_exempt
def received(request: HttpRequest) -> HttpResponse:
    """A body of any size, read piece by piece."""
    return JsonResponse(
        {"bytes": sum(len(piece) for piece in iter(lambda: request.read(65536), b""))}
    )


@csrf_exempt
def heard(request: HttpRequest) -> HttpResponse:
    """The headers that have come this far."""
    return JsonResponse(dict(request.headers))


def error(request: HttpRequest) -> HttpResponse:
    """An error that nobody has foreseen."""
    raise RuntimeError("drilled")


async def error_async(request: HttpRequest) -> HttpResponse:
    """The same, in a coroutine."""
    raise RuntimeError("drilled")


def forbidden(request: HttpRequest) -> HttpResponse:
    """What this user may not see."""
    raise PermissionDenied


def suspicious(request: HttpRequest) -> HttpResponse:
    """What nobody would ask for."""
    raise SuspiciousOperation("drilled")


class Upload(forms.Form):
    image = forms.ImageField()


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """A form with an image, checked the way that forms check it."""
    form = Upload(request.POST, request.FILES)
    return JsonResponse({"errors": form.errors}, status=200 if form.is_valid() else 400)


def link(request: HttpRequest, signed: str) -> HttpResponse:
    """A link that was signed by an earlier release, or by another instance."""
    try:
        return JsonResponse({"user": signing.loads(signed, salt="drill", max_age=3600)})
    except signing.BadSignature:
        return JsonResponse({"error": "bad signature"}, status=403)


def reset(request: HttpRequest, username: str, token: str) -> HttpResponse:
    """What a mail about a forgotten password leads to."""
    user = get_user_model().objects.get(username=username)
    return JsonResponse(
        {}, status=200 if default_token_generator.check_token(user, token) else 403
    )


urlpatterns = [
    path("ping/", ping),
    path("row/", row),
    path("row-async/", row_async),
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
    path("link/<str:signed>/", link),
    path("reset/<str:username>/<str:token>/", reset),
]
