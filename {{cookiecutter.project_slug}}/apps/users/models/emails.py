"""E-mail addresses as names to log in with: however one is typed, it is one person's.

By RFC 5321, section 2.4, a mail server may tell Ada@ from ada@; none does, and people do not. So an address is stored in
lower case and looked for in lower case, and a plain unique index holds for every spelling, whatever the collation.
"""

from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import BaseUserManager
from django.core.validators import RegexValidator
from django.db import models

if TYPE_CHECKING:
    from apps.users.models import User

# Some databases take é for e: two people would share a name there. Mail servers want xn-- for a domain anyway.
validate_ascii = RegexValidator(
    r"^[\x21-\x7e]*\Z",
    "Use letters without accents; an international domain has a form that begins with xn--.",
)


class LowercaseEmailField(models.EmailField):  # type: ignore[type-arg]
    """An address in lower case: in forms, in what is stored and in what is looked for."""

    default_validators = [*models.EmailField.default_validators, validate_ascii]  # noqa: RUF012

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return normalize(value) if isinstance(value, str) else value


class UserManager(BaseUserManager["User"]):
    """Makes users who have an address and no other name."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return normalize(email or "")

    def build(self, email: str, password: str | None, **fields: Any) -> "User":
        if not email:
            raise ValueError("The email address must be set")
        return self.model(
            email=self.normalize_email(email),
            password=make_password(password),
            **fields,
        )

    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        user = self.build(email, password, **fields)
        user.save(using=self._db)
        return user

    async def acreate_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        user = self.build(email, password, **fields)
        await user.asave(using=self._db)
        return user

    def create_superuser(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        return self.create_user(
            email, password, **fields, is_staff=True, is_superuser=True
        )

    async def acreate_superuser(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        return await self.acreate_user(
            email, password, **fields, is_staff=True, is_superuser=True
        )


def normalize(email: str) -> str:
    return email.strip().lower()
