"""The project's own user, from the first migration on: add a field at any time.

https://docs.djangoproject.com/en/stable/topics/auth/customizing/#using-a-custom-user-model-when-starting-a-project
"""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Somebody who can log in, by username."""
