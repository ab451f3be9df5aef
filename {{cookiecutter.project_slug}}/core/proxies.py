"""Believes a proxy only where one is, and refuses a body that is too large before anything reads it."""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from http import HTTPStatus
from inspect import iscoroutinefunction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csp import ContentSecurityPolicyMiddleware, get_nonce
from django.utils.csp import CSP, build_policy
from django.utils.decorators import sync_and_async_middleware

LONGEST_REMEMBERED = 100  # characters of X-Forwarded-For: two addresses of IPv6
SESSION_KEY = re.compile(r"[a-z0-9]{8,40}")
# %if cookiecutter.interface == "asgi"
TOO_SLOW = "body_too_slow"  # in the scope: apps.security.bodies has cut the body

# %endif
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


@lru_cache(maxsize=1024)
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
    elif forwarded_for := meta.get("HTTP_X_FORWARDED_FOR"):
        # What is longer is not remembered: anybody can send it, of any length.
        find = client_address if len(forwarded_for) <= LONGEST_REMEMBERED else client_address.__wrapped__
        meta["REMOTE_ADDR"] = find(peer, forwarded_for)


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
    """413 for a request that declares a body above REQUEST_MAX_BODY_SIZE bytes, 408 for one that arrives too slowly."""

    def serve(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = refuse_body(request) or get_response(request)
        return response

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = refuse_body(request) or await get_response(request)
        return response

    return serve_async if iscoroutinefunction(get_response) else serve


def declares_too_much(meta: dict[str, Any]) -> bool:
    length = meta.get("CONTENT_LENGTH") or ""
    return length.isdecimal() and int(length) > settings.REQUEST_MAX_BODY_SIZE


def refuse_body(request: HttpRequest) -> HttpResponse | None:
    if declares_too_much(request.META):
        return refusal("The request is larger than this service accepts.\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    # %if cookiecutter.interface == "asgi"
    if getattr(request, "scope", {}).get(TOO_SLOW):
        return refusal("The request did not arrive in time.\n", HTTPStatus.REQUEST_TIMEOUT)
    # %endif
    return None


def refusal(text: str, status: HTTPStatus) -> HttpResponse:
    response = HttpResponse(text, "text/plain", status)
    response.headers["Connection"] = "close"
    return response


@sync_and_async_middleware
def content_security_policy_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Django's ContentSecurityPolicyMiddleware, with the policies put together once, not for each response.

    Django itself sees to responses with a nonce and to those with a policy of their own.
    """
    django = ContentSecurityPolicyMiddleware(get_response)
    process_response: Callable[..., HttpResponseBase] = django.process_response
    policies = {CSP.HEADER_ENFORCE: settings.SECURE_CSP, CSP.HEADER_REPORT_ONLY: settings.SECURE_CSP_REPORT_ONLY}
    headers = [(str(name), build_policy(policy)) for name, policy in policies.items() if policy]

    def complete(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        # Left there by Django's decorators: django.views.decorators.csp
        has_its_own = hasattr(response, "_csp_config") or hasattr(response, "_csp_ro_config")
        if has_its_own or get_nonce(request):
            return process_response(request, response)
        for name, value in headers:
            response.headers.setdefault(name, value)
        return response

    def serve(request: HttpRequest) -> HttpResponseBase:
        django.process_request(request)
        return complete(request, get_response(request))

    async def serve_async(request: HttpRequest) -> HttpResponseBase:
        django.process_request(request)
        return complete(request, await get_response(request))

    return serve_async if iscoroutinefunction(get_response) else serve


class WellFormedSessionMiddleware(SessionMiddleware):
    """Looks up only what can be the key of a session: for a null byte a database may raise an error."""

    def process_request(self, request: HttpRequest) -> None:
        if not SESSION_KEY.fullmatch(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")):
            request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        super().process_request(request)
