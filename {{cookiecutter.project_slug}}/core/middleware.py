"""Make middleware of plain functions, for both interfaces.

https://docs.djangoproject.com/en/stable/topics/http/middleware/
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

type Middleware = Callable[[Callable[[HttpRequest], Any]], Any]
type Finish = Callable[[HttpResponseBase], None]


def before(look: Callable[[HttpRequest], HttpResponseBase | None]) -> Middleware:
    """Answer with what a function returns of the request, if anything.

    The function must not wait: under ASGI it is called on the event loop.
    """

    @sync_and_async_middleware
    def middleware(get_response: Callable[[HttpRequest], Any]) -> Any:
        async def serve_async(request: HttpRequest) -> HttpResponseBase:
            return look(request) or await get_response(request)

        def serve(request: HttpRequest) -> HttpResponseBase:
            return look(request) or get_response(request)

        return serve_async if iscoroutinefunction(get_response) else serve

    return middleware


def around(
    context: Callable[[HttpRequest], AbstractContextManager[Finish]],
) -> Middleware:
    """Serve within a context, which gives a function that is handed the response.

    It is not called where there is no response, as when a client leaves under ASGI.
    """

    @sync_and_async_middleware
    def middleware(get_response: Callable[[HttpRequest], Any]) -> Any:
        async def serve_async(request: HttpRequest) -> HttpResponseBase:
            with context(request) as finish:
                response: HttpResponseBase = await get_response(request)
                finish(response)
                return response

        def serve(request: HttpRequest) -> HttpResponseBase:
            with context(request) as finish:
                response: HttpResponseBase = get_response(request)
                finish(response)
                return response

        return serve_async if iscoroutinefunction(get_response) else serve

    return middleware
