"""Believe the X-Forwarded-* headers of our own proxies, and of nobody else.

https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

from core.middleware import before

FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_")


@before
def trusted_proxy_middleware(request: HttpRequest) -> None:
    """Set REMOTE_ADDR to the client; drop X-Forwarded-* unless our proxy sent it."""
    meta = request.META
    if not is_trusted(meta.get("REMOTE_ADDR", "")):
        for name in [name for name in meta if name.startswith(FORWARDED)]:
            del meta[name]
    elif client := client_address(meta.get("HTTP_X_FORWARDED_FOR", "")):
        meta["REMOTE_ADDR"] = client


@lru_cache(maxsize=1024)
def is_trusted(address: str) -> bool:
    """Tell whether an address is that of our proxy; "" is a peer on a Unix socket."""
    if not address:
        return True
    try:
        ip = read_address(address)
    except ValueError:
        return False
    return any(ip in ip_network(network) for network in settings.FORWARDED_ALLOW_IPS)


def client_address(forwarded_for: str) -> str:
    """Return the entry that the outermost of our proxies wrote; "" if it is unusable.

    The client itself may have sent the entries further left: they prove nothing.
    """
    entries = forwarded_for.split(",")
    if not 0 < settings.TRUSTED_PROXIES <= len(entries):
        return ""
    try:
        return str(read_address(entries[-settings.TRUSTED_PROXIES].strip()))
    except ValueError:
        return ""


# A browser sends many requests: parsing its address took 7 % of one for a static file.
@lru_cache(maxsize=1024)
def read_address(text: str) -> IPv4Address | IPv6Address:
    """Return an address; ::ffff:10.0.0.1 is 10.0.0.1. Raise ValueError for others."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
