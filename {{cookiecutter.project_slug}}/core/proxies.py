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
    ip = read_address(address)
    return not address or any(
        ip in ip_network(network) for network in settings.FORWARDED_ALLOW_IPS if ip
    )


def client_address(forwarded_for: str) -> str:
    """Return the entry that the outermost of our proxies wrote; "" if it is unusable.

    The client itself may have sent the entries further left: they prove nothing.
    """
    entries = forwarded_for.split(",")
    if not 0 < settings.TRUSTED_PROXIES <= len(entries):
        return ""
    return str(read_address(entries[-settings.TRUSTED_PROXIES].strip()) or "")


@lru_cache(maxsize=1024)
def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address or None; ::ffff:10.0.0.1 is 10.0.0.1.

    A browser sends many requests: reading its address took 7 % of one for a file.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
