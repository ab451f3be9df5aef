"""Errors under /api/ are JSON; everywhere else they stay pages."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from apps.pages.views import server_error as server_error_page
from core import bodies
from core.logs import request_id


def json_under_api(
    status: HTTPStatus, page: Callable[..., HttpResponse]
) -> Callable[..., HttpResponse]:
    """Return an error handler for config/urls.py.

    https://docs.djangoproject.com/en/stable/topics/http/views/#customizing-error-views
    """

    def handle(request: HttpRequest, exception: object = None) -> HttpResponse:
        if not request.path.startswith("/api/"):
            return page(request, exception)
        answer = {"detail": status.phrase, "request_id": request_id.get()}
        return JsonResponse(answer, status=status)

    return handle


bad_request = partial(
    bodies.bad_request,
    page=json_under_api(HTTPStatus.BAD_REQUEST, defaults.bad_request),
)
permission_denied = json_under_api(HTTPStatus.FORBIDDEN, defaults.permission_denied)
page_not_found = json_under_api(HTTPStatus.NOT_FOUND, defaults.page_not_found)
server_error = json_under_api(HTTPStatus.INTERNAL_SERVER_ERROR, server_error_page)
