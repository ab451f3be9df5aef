"""The project's own user, from the first migration on: add a field at any time.

https://docs.djangoproject.com/en/stable/topics/auth/customizing/#using-a-custom-user-model-when-starting-a-project
"""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower

from apps.users.models.emails import LowercaseEmailField, UserManager


class User(AbstractUser):
    """Somebody who can log in, by e-mail address."""

    username = None  # type: ignore[assignment]
    email = LowercaseEmailField("email address", unique=True)

    objects = UserManager()  # type: ignore[assignment,misc]

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta(AbstractUser.Meta):
        constraints = (
            # Unique means unique in any spelling: not even SQL by hand stores another.
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")),
                name="users_user_email_is_lower_case",
            ),
        )
