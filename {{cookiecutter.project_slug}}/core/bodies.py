"""Stops a body that is too large while it arrives.

Under ASGI Django stores the whole body, on disk if it has to, before the first middleware sees the request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from apps.security.middleware import TOO_SLOW

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

TIMEOUT_S = 20.0  # for each piece of a body: the client of a phone on a bad day sends one in a second
PIECE_BYTES = 64 * 1024
END_OF_BODY = {"type": "http.request", "body": b"", "more_body": False}


def limit_body(application: Application, limit: int) -> Application:
    """The ASGI application, handed at most ``limit`` bytes of a body.

    A longer body ends there, with the length that it had reached in Content-Length: body_limit_middleware answers 413
    for that, so that such a request is logged and answered like every other. One that does not arrive in time ends too,
    and is answered with 408.
    """

    async def limited(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"")
        received = int(declared) if declared.isdigit() and int(declared) > limit else 0
        is_cut = is_whole = False
        piece, deadline = 0, asyncio.get_running_loop().time() + TIMEOUT_S

        async def receive_in_time() -> Message:
            nonlocal piece, deadline
            async with asyncio.timeout_at(deadline):
                message = await receive()
            piece += len(message.get("body", b""))
            if piece >= PIECE_BYTES:
                piece, deadline = 0, asyncio.get_running_loop().time() + TIMEOUT_S
            return message

        async def receive_within_limit() -> Message:
            nonlocal received, is_cut, is_whole
            if is_cut or is_whole:
                return await disconnection(receive)
            if received <= limit:
                try:
                    message = await receive_in_time()
                except TimeoutError:
                    scope[TOO_SLOW] = is_cut = True
                    return END_OF_BODY
                received += len(message.get("body", b""))
                if received <= limit:
                    is_whole = not message.get("more_body", False)
                    return message
                scope["headers"] = [*scope["headers"], (b"content-length", str(received).encode())]
            is_cut = True
            return END_OF_BODY

        async def send_and_close(message: Message) -> None:
            await send(closing(message) if is_cut else message)

        await application(scope, receive_within_limit, send_and_close)

    return limited


def closing(message: Message) -> Message:
    """The start of a response as one that ends the connection: else the server reads on for as long as a client sends."""
    if message["type"] != "http.response.start":
        return message
    headers = [header for header in message["headers"] if header[0].lower() != b"connection"]
    return {**message, "headers": [*headers, (b"connection", b"close")]}


async def disconnection(receive: Receive) -> Message:
    """The message that the client has left; what it still sends until then is thrown away."""
    while (message := await receive())["type"] == "http.request":
        pass
    return message
