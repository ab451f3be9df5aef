"""Stops a body that is too large while it arrives.

Under ASGI Django stores the whole body, on disk if it has to, before the first middleware sees the request.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

END_OF_BODY = {"type": "http.request", "body": b"", "more_body": False}


def limit_body(application: Application, limit: int) -> Application:
    """The ASGI application, handed at most ``limit`` bytes of a body.

    A longer body ends there, with the length that it had reached in Content-Length: body_limit_middleware answers 413
    for that, so that such a request is logged and answered like every other.
    """

    async def limited(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"")
        received = int(declared) if declared.isdigit() and int(declared) > limit else 0
        is_cut = False

        async def receive_within_limit() -> Message:
            nonlocal received, is_cut
            if is_cut:
                return await disconnection(receive)
            if received <= limit:
                message = await receive()
                received += len(message.get("body", b""))
                if received <= limit:
                    return message
                scope["headers"] = [*scope["headers"], (b"content-length", str(received).encode())]
            is_cut = True
            return END_OF_BODY

        await application(scope, receive_within_limit, send)

    return limited


async def disconnection(receive: Receive) -> Message:
    """The message that the client has left; what it still sends until then is thrown away."""
    while (message := await receive())["type"] == "http.request":
        pass
    return message
