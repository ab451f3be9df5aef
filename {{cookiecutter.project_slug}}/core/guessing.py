"""How django-axes counts wrong passwords: by user, by address, by network.

https://django-axes.readthedocs.io/en/latest/4_configuration.html
"""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.db.models import Sum
from django.http import HttpRequest

IPV6_PREFIX = 64  # the network of one household or one server
USERS_PER_ADDRESS = 5  # an address may fail so many times as often as one user


def client_network(request: HttpRequest) -> str | None:
    """Return the client's address; for IPv6 its /64 network, which has one owner."""
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        network = ip_network((address, IPV6_PREFIX), strict=False)
        return str(network.network_address)
    return str(address)


class GuessingHandler(AxesDatabaseHandler):
    """Also lock out an address that tries a few passwords on each of many users."""

    def get_failures(
        self, request: Any, credentials: dict[str, Any] | None = None
    ) -> int:
        """Return the failures to compare with AXES_FAILURE_LIMIT."""
        of_user: int = super().get_failures(request, credentials)
        of_address = AccessAttempt.objects.filter(
            ip_address=request.axes_ip_address,
            attempt_time__gte=get_cool_off_threshold(request),
        ).aggregate(total=Sum("failures_since_start"))
        return max(of_user, (of_address["total"] or 0) // USERS_PER_ADDRESS)
