"""Errors under /api/ are JSON; everywhere else they stay pages.

https://docs.djangoproject.com/en/stable/topics/http/views/#customizing-error-views
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from apps.pages.views import server_error as server_error_page
from core import bodies
from core.logs import request_id

type ErrorView = Callable[..., HttpResponse]


def answer(
    status: HTTPStatus, page: ErrorView, request: HttpRequest, exception: object = None
) -> HttpResponse:
    if not request.path.startswith("/api/"):
        return page(request, exception)
    content = {"detail": status.phrase, "request_id": request_id.get()}
    return JsonResponse(content, status=status)


bad_request_page = partial(answer, HTTPStatus.BAD_REQUEST, defaults.bad_request)
bad_request = partial(bodies.bad_request, page=bad_request_page)
permission_denied = partial(answer, HTTPStatus.FORBIDDEN, defaults.permission_denied)
page_not_found = partial(answer, HTTPStatus.NOT_FOUND, defaults.page_not_found)
server_error = partial(answer, HTTPStatus.INTERNAL_SERVER_ERROR, server_error_page)
