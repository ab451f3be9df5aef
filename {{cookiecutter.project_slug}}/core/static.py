"""Static files, served by WhiteNoise on the event loop.

Under ASGI a synchronous middleware raises errors when clients leave.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
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
        file = self.files.get(request.path_info)
        if self.autorefresh:
            file = await sync_to_async(self.find_file)(request.path_info)
        if file is None:
            return await self.get_response(request)
        found = self.serve(file, request)
        length = int(found.headers.get("Content-Length", 0))
        if length > CHUNK_BYTES and request.method != "HEAD":
            return found
        response = HttpResponse(found.getvalue(), status=found.status_code)
        response.headers = found.headers
        found.close()
        return response
