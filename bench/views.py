"""The same four views for every project; the benchmark copies this file into them."""

from collections.abc import AsyncIterator, Iterator

from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

ANSWER = {"message": "hello", "items": [{"id": number, "name": f"item {number}"} for number in range(5)]}
CHUNKS = [b"x" * 1024] * 20


def answer(request: HttpRequest) -> JsonResponse:
    return JsonResponse(ANSWER)


async def answer_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse(ANSWER)


def row(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"model": ContentType.objects.get(pk=1).model})


async def row_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"model": (await ContentType.objects.aget(pk=1)).model})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        yield from CHUNKS

    return StreamingHttpResponse(chunks())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in CHUNKS:
            yield chunk

    return StreamingHttpResponse(chunks())


urlpatterns = [
    path("json/", answer),
    path("json-async/", answer_async),
    path("row/", row),
    path("row-async/", row_async),
    path("stream/", stream),
    path("stream-async/", stream_async),
]
