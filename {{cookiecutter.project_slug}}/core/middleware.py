"""Turn plain functions into middleware, both synchronous and asynchronous.

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
    """Answer with the response of a function; None lets the request pass.

    The function must not wait: it may be called on an event loop.
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
    """Serve a request within a context manager, which yields a function.

    The function gets the response. It is not called if there is none: a client that
    leaves may cancel its request.
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
