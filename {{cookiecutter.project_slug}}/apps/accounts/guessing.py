"""One count of guesses: of codes and repeated passwords, as of log-ins.

https://django-axes.readthedocs.io/en/latest/6_integration.html
"""

from typing import Any

from allauth.core import context
from axes.utils import reset
from django.http import HttpRequest

from core.proxies import client_network


# %if cookiecutter.login == "email"
def attempted_name(request: HttpRequest, credentials: Any = None) -> str | None:
    """Return the name under which django-axes counts: each address of a user is it."""
    from allauth.account.utils import filter_users_by_email

    from apps.users.models.emails import attempted_email

    email = attempted_email(request, credentials)
    users = filter_users_by_email(email, prefer_verified=True) if email else []
    return users[0].get_username() if users else email


# %else
def attempted_name(request: HttpRequest, credentials: Any = None) -> str | None:
    """Return the name under which django-axes counts: Ada logs in as ADA too."""
    given = credentials or request.POST
    return (given.get("username") or "").strip().lower() or None


# %endif
def forget_guesses(user: Any) -> None:
    """Begin to count anew after the right answer, as after a log-in."""
    name = user.get_username().lower()
    reset(ip=client_network(context.request), username=name)
