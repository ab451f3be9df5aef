"""Static files, served by WhiteNoise on the event loop.

Under ASGI a synchronous middleware raises errors when clients leave.
"""

from collections.abc import Callable
from typing import Any
from wsgiref.util import FileWrapper

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware

from core.streams import CHUNK_BYTES


class AsyncWhiteNoiseMiddleware(WhiteNoiseMiddleware):
    """Serve small files whole; core.streams sends large ones piece by piece."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> Any:
        response: HttpResponseBase
        file = self.files.get(request.path_info)
        if self.autorefresh:
            file = await sync_to_async(self.find_file)(request.path_info)
        if file is None:
            return await self.get_response(request)
        found = file.get_response(request.method, request.META)
        if found.file is None:
            response = HttpResponse(status=found.status)
        elif int(dict(found.headers)["Content-Length"]) <= CHUNK_BYTES:
            with found.file as opened:
                response = HttpResponse(opened.read(), status=found.status)
        else:
            pieces = FileWrapper(found.file, CHUNK_BYTES)
            response = StreamingHttpResponse(pieces, status=found.status)
        del response.headers["Content-Type"]
        for name, value in found.headers:
            response.headers[name] = value
        return response
