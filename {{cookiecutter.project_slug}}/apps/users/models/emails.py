"""E-mail addresses to log in with: one person's, however they are typed.

By RFC 5321, section 2.4, a mail server may tell Ada@ from ada@; none does. Addresses
are stored and looked up in lower case: a plain unique index holds for every spelling,
whatever the collation.
"""

from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

# Some databases take é for e: two people would share a name there. Mail servers want
# xn-- for a domain anyway.
validate_ascii = RegexValidator(
    r"^[\x21-\x7e]*\Z",
    _("Use letters without accents; write an international domain with xn--."),
)


class LowercaseEmailField(models.EmailField):
    """An address in lower case: in forms, in the database and in queries."""

    default_validators = [*models.EmailField.default_validators, validate_ascii]

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return normalize_email(value) if isinstance(value, str) else value


def normalize_email(email: str | None) -> str:
    return (email or "").strip().lower()


def attempted_email(request: HttpRequest, credentials: Any = None) -> str | None:
    """Return the address under which django-axes counts an attempt to log in, or None.

    Django's form calls the field username, others call it email; django-axes looks for
    only one of the two.
    """
    given = credentials or request.POST
    return normalize_email(given.get("username") or given.get("email")) or None
