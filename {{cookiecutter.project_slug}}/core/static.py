"""WhiteNoise for ASGI: no request leaves the event loop on its account, and no file is read into memory whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware

CHUNK_BYTES = 256 * 1024


class Chunks:
    """An open file, read piece by piece in a thread."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await asyncio.to_thread(self.file.read, CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        self.file.close()


class AsyncWhiteNoiseMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise's middleware, which is synchronous, with an asynchronous side."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self):
            return self.call_async(request)
        response: HttpResponseBase = super().__call__(request)
        return response

    async def call_async(self, request: HttpRequest) -> HttpResponseBase:
        if self.autorefresh:
            static_file = await sync_to_async(self.find_file)(request.path_info)
        else:
            static_file = self.files.get(request.path_info)
        if static_file is None:
            response: HttpResponseBase = await self.get_response(request)
            return response
        found = static_file.get_response(request.method, request.META)
        if found.file is None:
            response = HttpResponse(status=found.status)
        elif int(dict(found.headers)["Content-Length"]) <= CHUNK_BYTES:
            with found.file as file:
                response = HttpResponse(file.read(), status=found.status)
        else:
            response = StreamingHttpResponse(Chunks(found.file), status=found.status)
        del response.headers["Content-Type"]
        for name, value in found.headers:
            response.headers[name] = value
        return response
