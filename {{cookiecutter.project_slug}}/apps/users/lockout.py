"""Whose wrong passwords django-axes counts."""

from typing import Any

from django.http import HttpRequest

from apps.users.models import User


def attempted_email(
    request: HttpRequest, credentials: dict[str, Any] | None = None
) -> str | None:
    """The address that somebody tries to log in with, in the one spelling that counts; None where there is none.

    Django's log-in form calls it username, others call it email; by itself django-axes looks for one of the two.
    """
    given = credentials or request.POST
    email = given.get("username") or given.get("email")
    return User.objects.normalize_email(email) if email else None
