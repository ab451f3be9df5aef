"""The project's own user: there from the first migration, so that a field can be added at any time.

https://docs.djangoproject.com/en/stable/topics/auth/customizing/#using-a-custom-user-model-when-starting-a-project
"""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Somebody who can log in, by username."""
