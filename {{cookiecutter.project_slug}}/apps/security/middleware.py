"""Believes a proxy only where one is, and refuses a body that is too large before anything reads it."""

from collections.abc import Callable
from functools import cache, lru_cache
from http import HTTPStatus
from inspect import iscoroutinefunction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

FORWARDED_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)


@cache
def trusted_networks() -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network) for network in settings.FORWARDED_ALLOW_IPS)


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """An address; one of IPv4 that came through an IPv6 socket (::ffff:10.0.0.1) as what it is.

    Raises ValueError where the text is no address.
    """
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1024)
def is_trusted(address: str) -> bool:
    """Whether an address belongs to a proxy of ours; an empty one is the other end of a Unix socket."""
    if not address:
        return True
    try:
        ip = parse_address(address)
    except ValueError:
        return False
    return any(ip in network for network in trusted_networks())


def client_address(peer: str, forwarded_for: str) -> str:
    """The client's address from X-Forwarded-For: the last entry that no proxy of ours has written.

    Everything to the left of it is what the client itself has sent, so it proves nothing.
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address
    """
    client = peer
    for entry in reversed(forwarded_for.split(",")):
        try:
            client = str(parse_address(entry.strip()))
        except ValueError:
            break
        if not is_trusted(client):
            break
    return client


def find_client(meta: dict[str, Any]) -> None:
    """Put the client's address into REMOTE_ADDR, or drop the headers that only a proxy of ours may send."""
    peer = meta.get("REMOTE_ADDR", "")
    if not is_trusted(peer):
        for header in FORWARDED_HEADERS:
            meta.pop(header, None)
    elif "HTTP_X_FORWARDED_FOR" in meta:
        meta["REMOTE_ADDR"] = client_address(peer, meta["HTTP_X_FORWARDED_FOR"])


@sync_and_async_middleware
def trusted_proxy_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """``REMOTE_ADDR`` is the client from here on, and ``X-Forwarded-*`` is there only where it can be believed."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        find_client(request.META)
        response: HttpResponseBase = get_response(request)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        find_client(request.META)
        response: HttpResponseBase = await get_response(request)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


@sync_and_async_middleware
def body_limit_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """413 for a request that declares a body above REQUEST_MAX_BODY_SIZE bytes."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = too_large() if declares_too_much(request) else get_response(request)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = too_large() if declares_too_much(request) else await get_response(request)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


def declares_too_much(request: HttpRequest) -> bool:
    length = request.headers.get("content-length") or ""
    return length.isdecimal() and int(length) > settings.REQUEST_MAX_BODY_SIZE


def too_large() -> HttpResponse:
    response = HttpResponse(
        "The request is larger than this service accepts.\n", "text/plain", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    )
    response.headers["Connection"] = "close"
    return response
