"""Views for all projects: the benchmark copies this file and its template into them."""

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

ANSWER = {
    "message": "hello",
    "items": [{"id": number, "name": f"item {number}"} for number in range(5)],
}
ROWS = 50


def answer(request: HttpRequest) -> JsonResponse:
    return JsonResponse(ANSWER)


async def answer_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse(ANSWER)


def row(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"model": ContentType.objects.get(pk=1).model})


async def row_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"model": (await ContentType.objects.aget(pk=1)).model})


def rows(request: HttpRequest) -> HttpResponse:
    """Make three queries: the count, a page of rows, and their content types."""
    found = Permission.objects.filter(codename__startswith="bench").order_by("codename")
    paginator = Paginator(found.prefetch_related("content_type"), ROWS)
    page = paginator.get_page(request.GET.get("page"))
    return render(request, "bench/list.html", {"page": page})


def fill() -> None:
    """Make two pages of rows."""
    for number in range(2 * ROWS):
        kind = ContentType.objects.order_by("pk")[number % 2]
        Permission.objects.create(
            codename=f"bench_{number:03}", name=f"row {number}", content_type=kind
        )


urlpatterns = [
    path("json/", answer),
    path("json-async/", answer_async),
    path("row/", row),
    path("row-async/", row_async),
    path("list/", rows, name="bench-list"),
]
