"""Turn plain functions into middleware.

https://docs.djangoproject.com/en/stable/topics/http/middleware/
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import decorators

type Middleware = Callable[[Callable[[HttpRequest], Any]], Any]
type Finish = Callable[[HttpResponseBase], None]


def before(look: Callable[[HttpRequest], HttpResponseBase | None]) -> Middleware:
    """Answer with the response of a function; None lets the request pass.

    # %if cookiecutter.interface == "asgi"
    The function must not wait: it is called on the event loop.
    # %else
    The function runs in the thread of the request.
    # %endif
    """

    # %if cookiecutter.interface == "asgi"
    @decorators.async_only_middleware
    # %else
    @decorators.sync_only_middleware
    # %endif
    def middleware(get_response: Callable[[HttpRequest], Any]) -> Any:
        # %if cookiecutter.interface == "asgi"
        async def serve(request: HttpRequest) -> HttpResponseBase:
            return look(request) or await get_response(request)

        # %else
        def serve(request: HttpRequest) -> HttpResponseBase:
            return look(request) or get_response(request)

        # %endif
        return serve

    return middleware


def around(
    context: Callable[[HttpRequest], AbstractContextManager[Finish]],
) -> Middleware:
    """Serve a request within a context manager, which yields a function.

    The function gets the response. It is not called if there is none: a client that
    leaves may cancel its request.
    """

    # %if cookiecutter.interface == "asgi"
    @decorators.async_only_middleware
    # %else
    @decorators.sync_only_middleware
    # %endif
    def middleware(get_response: Callable[[HttpRequest], Any]) -> Any:
        # %if cookiecutter.interface == "asgi"
        async def serve(request: HttpRequest) -> HttpResponseBase:
            with context(request) as finish:
                response: HttpResponseBase = await get_response(request)
                finish(response)
                return response

        # %else
        def serve(request: HttpRequest) -> HttpResponseBase:
            with context(request) as finish:
                response: HttpResponseBase = get_response(request)
                finish(response)
                return response

        # %endif
        return serve

    return middleware
