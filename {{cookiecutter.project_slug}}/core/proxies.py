"""Believe the X-Forwarded-* headers of our own proxies, and of nobody else.

https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
"""

import logging
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

from core.logs import OncePerMinute
from core.middleware import before

FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_")
UNKNOWN = "::"  # stands for clients whose address cannot be read

logger = logging.getLogger(__name__)
logger.addFilter(OncePerMinute())


@before
def trusted_proxy_middleware(request: HttpRequest) -> None:
    """Set REMOTE_ADDR to the client; drop X-Forwarded-* unless our proxy sent it."""
    meta = request.META
    peer = meta.get("REMOTE_ADDR", "")
    if is_trusted(peer):
        if settings.TRUSTED_PROXIES and (entries := meta.get("HTTP_X_FORWARDED_FOR")):
            meta["REMOTE_ADDR"] = client_address(entries.split(","), peer)
    elif names := [name for name in meta if name.startswith(FORWARDED)]:
        logger.warning("X-Forwarded of %s ignored: not in FORWARDED_ALLOW_IPS", peer)
        for name in names:
            del meta[name]


@lru_cache(maxsize=1024)
def is_trusted(address: str) -> bool:
    """Tell whether an address is that of our proxy; "" is a peer on a Unix socket."""
    ip = read_address(address)
    return not address or any(
        ip in ip_network(network) for network in settings.FORWARDED_ALLOW_IPS if ip
    )


def client_address(entries: list[str], peer: str) -> str:
    """Return the entry that the outermost of our proxies wrote; "" if it is unreadable.

    The client itself may have sent the entries further left: they prove nothing.
    """
    if len(entries) < settings.TRUSTED_PROXIES:
        logger.warning("X-Forwarded-For of %s is shorter than TRUSTED_PROXIES", peer)
        return peer
    address = read_address(entries[-settings.TRUSTED_PROXIES])
    if address is None:
        logger.warning("X-Forwarded-For of %s: no address at TRUSTED_PROXIES", peer)
    return str(address or "")


@lru_cache(maxsize=1024)
def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address or None; ::ffff:10.0.0.1 is 10.0.0.1, a port is left out.

    A browser sends many requests: reading its address took 7 % of one for a file.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_network(request: HttpRequest) -> str:
    """Return the client's address, for IPv6 its /64 network, which has one owner."""
    address = read_address(request.META.get("REMOTE_ADDR", ""))
    if isinstance(address, IPv6Address):
        network = ip_network((address, 64), strict=False)
        return str(network.network_address)
    return str(address or UNKNOWN)
