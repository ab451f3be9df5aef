"""Believe what a proxy says of the client, where one of ours says it.

https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

from core.middleware import before

FORWARDED_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)


@before
def trusted_proxy_middleware(request: HttpRequest) -> None:
    """Make REMOTE_ADDR the client; drop X-Forwarded-* where no proxy of ours sent it."""
    meta = request.META
    peer = meta.get("REMOTE_ADDR", "")
    if not is_trusted(peer):
        for header in FORWARDED_HEADERS:
            meta.pop(header, None)
    elif forwarded_for := meta.get("HTTP_X_FORWARDED_FOR"):
        meta["REMOTE_ADDR"] = client_address(peer, forwarded_for)


@lru_cache(maxsize=1024)
def is_trusted(address: str) -> bool:
    """Tell whether a proxy of ours has the address; "" is a Unix socket's other end."""
    if not address:
        return True
    try:
        ip = read_address(address)
    except ValueError:
        return False
    return any(ip in ip_network(network) for network in settings.FORWARDED_ALLOW_IPS)


def client_address(peer: str, forwarded_for: str) -> str:
    """Return the last entry that no proxy of ours has written.

    Everything to the left of it is what the client itself has sent: it proves nothing.
    """
    client = peer
    for entry in reversed(forwarded_for.split(",")):
        try:
            client = str(read_address(entry.strip()))
        except ValueError:
            break
        if not is_trusted(client):
            break
    return client


def read_address(text: str) -> IPv4Address | IPv6Address:
    """Read an address; ::ffff:10.0.0.1 is 10.0.0.1. Raise ValueError elsewhere."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
