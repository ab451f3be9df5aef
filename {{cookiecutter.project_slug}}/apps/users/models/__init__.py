"""The project's own user, from the first migration on: add a field at any time.

https://docs.djangoproject.com/en/stable/topics/auth/customizing/#using-a-custom-user-model-when-starting-a-project
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from apps.users.models.emails import LowercaseEmailField, normalize_email

# Unique means unique in any spelling: not even SQL by hand stores another.
email_is_lower_case = models.CheckConstraint(
    condition=models.Q(email=Lower("email")), name="users_user_email_is_lower_case"
)


class UserManager(BaseUserManager["User"]):
    """Creates users who have an address and no other name."""

    def create_user(self, email: str, password: Any = None, **fields: Any) -> "User":
        if not email:
            raise ValueError("The email address must be set")
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self.db)
        return user

    def create_superuser(self, email: str, *args: Any, **fields: Any) -> "User":
        fields |= {"is_staff": True, "is_superuser": True}
        return self.create_user(email, *args, **fields)

    acreate_user = sync_to_async(create_user)
    acreate_superuser = sync_to_async(create_superuser)


class User(AbstractUser):
    """Somebody who can log in, by e-mail address."""

    username = None  # type: ignore[assignment]
    email = LowercaseEmailField(_("email address"), unique=True)

    objects = UserManager()  # type: ignore[assignment,misc]

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta(AbstractUser.Meta):
        constraints = (email_is_lower_case,)
