"""Static files, served by WhiteNoise on the event loop.

Under ASGI a synchronous middleware raises errors when clients leave.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import async_only_middleware
from whitenoise.middleware import WhiteNoiseMiddleware

from core.streams import CHUNK_BYTES


@async_only_middleware
def static_middleware(get_response: Callable[[HttpRequest], Any]) -> Any:
    """Serve small files whole; core.streams sends large ones piece by piece."""
    whitenoise = WhiteNoiseMiddleware(get_response)

    async def serve(request: HttpRequest) -> Any:
        file = whitenoise.files.get(request.path_info)
        if whitenoise.autorefresh:
            file = await sync_to_async(whitenoise.find_file)(request.path_info)
        if file is None:
            return await get_response(request)
        found = whitenoise.serve(file, request)
        length = int(found.headers.get("Content-Length", 0))
        if length > CHUNK_BYTES and request.method != "HEAD":
            return found
        response = HttpResponse(found.getvalue(), status=found.status_code)
        response.headers = found.headers
        found.close()
        return response

    return serve
