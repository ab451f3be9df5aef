"""E-mail addresses to log in with: one person's, however they are typed.

By RFC 5321, section 2.4, a mail server may tell Ada@ from ada@; none does. Addresses
are stored and looked up in lower case: a plain unique index holds for every spelling,
whatever the collation.
"""

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import BaseUserManager
from django.core.validators import RegexValidator
from django.db import models

if TYPE_CHECKING:
    from apps.users.models import User

# Some databases take é for e: two people would share a name there. Mail servers want
# xn-- for a domain anyway.
validate_ascii = RegexValidator(
    r"^[\x21-\x7e]*\Z",
    "Use letters without accents; write an international domain in its form with xn--.",
)


class LowercaseEmailField(models.EmailField):
    """An address in lower case: in forms, in the database and in queries."""

    default_validators = [*models.EmailField.default_validators, validate_ascii]

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return UserManager.normalize_email(value) if isinstance(value, str) else value


class UserManager(BaseUserManager["User"]):
    """Creates users who have an address and no other name."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        if not email:
            raise ValueError("The email address must be set")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self.db)
        return user

    def create_superuser(self, email: str, *args: Any, **fields: Any) -> "User":
        fields |= {"is_staff": True, "is_superuser": True}
        return self.create_user(email, *args, **fields)

    acreate_user = sync_to_async(create_user)
    acreate_superuser = sync_to_async(create_superuser)
