"""The project's URLs, and some that fail, for the tests of errors."""

from typing import NoReturn

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import path

from config import urls
from config.urls import *  # noqa: F403 - the handlers of errors


def forbidden(request: HttpRequest) -> NoReturn:
    raise PermissionDenied


def broken(request: HttpRequest) -> NoReturn:
    raise ValueError("sold out")


urlpatterns = [
    path("forbidden/", forbidden),
    path("broken/", broken),
    # %if cookiecutter.api != "none"
    path("api/broken/", broken),
    # %endif
    *urls.urlpatterns,
]
