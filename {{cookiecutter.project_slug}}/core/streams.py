"""Send what a view streams piece by piece, without keeping its database connection.

Django itself reads a file or a synchronous generator to its end before it sends, and
keeps the connection of the view as long as the client reads.
https://docs.djangoproject.com/en/stable/ref/request-response/#streaminghttpresponse-objects
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import FileResponse, HttpRequest
from django.utils.decorators import async_only_middleware

CHUNK_BYTES = 256 * 1024


@async_only_middleware
def stream_middleware(get_response: Callable[[HttpRequest], Any]) -> Any:
    async def serve(request: HttpRequest) -> Any:
        response = await get_response(request)
        # The synchronous test client reads a synchronous stream.
        if response.streaming and isinstance(request, ASGIRequest):
            await sync_to_async(close_old_connections)()
            if isinstance(response, FileResponse):
                response.block_size = CHUNK_BYTES
            if not response.is_async:
                response.streaming_content = pieces(response.streaming_content)
        return response

    return serve


async def pieces(content: Iterable[bytes]) -> AsyncIterator[bytes]:
    iterator, take = iter(content), sync_to_async(next)
    while (piece := await take(iterator, None)) is not None:  # type: ignore[call-arg]
        yield piece
