"""The name under which django-axes counts wrong passwords: the e-mail address."""

from typing import Any

from django.http import HttpRequest

from apps.users.models import User


def attempted_email(
    request: HttpRequest, credentials: dict[str, Any] | None = None
) -> str | None:
    """Return the address of an attempt to log in, in lower case; None without one.

    Django's form calls the field username, others call it email; django-axes looks for
    only one of the two.
    """
    given = credentials or request.POST
    email = given.get("username") or given.get("email")
    return User.objects.normalize_email(email) if email else None
