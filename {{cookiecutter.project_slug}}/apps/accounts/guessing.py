"""One count of guesses: of codes and repeated passwords, as of log-ins.

https://django-axes.readthedocs.io/en/latest/6_integration.html
"""

from typing import Any

from allauth.core import context
from axes.utils import reset
from django.http import HttpRequest

from core.proxies import client_network


def attempted_name(request: HttpRequest, credentials: Any = None) -> str | None:
    """Return the name under which django-axes counts: Ada logs in as ADA too."""
    given = credentials or request.POST
    return (given.get("username") or "").strip().lower() or None


def forget_guesses(user: Any) -> None:
    """Begin to count anew after the right answer, as after a log-in."""
    name = user.get_username().lower()
    reset(ip=client_network(context.request), username=name)
