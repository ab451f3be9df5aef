"""Data to look at, made by the factories: `just seed` plants it, the same each time."""

from importlib import import_module
from pathlib import Path

import factory.random
from django.apps import apps
from django.conf import settings
from django.db import transaction

from apps.users.models import User
from apps.users.tests.factories import UserFactory

# %if cookiecutter.login == "username"
ADMIN = {"username": "admin", "email": "admin@example.com"}
# %else
ADMIN = {"email": "admin@example.com"}
# %endif
PASSWORD = "admin"


@transaction.atomic
def plant() -> str:
    """Plant users, then what plant() in the factories of each app does; return a report.

    All or nothing: the app of a factory that fails is not half planted.
    """
    if not settings.DEBUG:
        raise SystemExit("Only development is seeded: the password is no secret.")
    factory.random.reseed_random("users")
    lines = [f"users: {plant_users()}"]
    for app in apps.get_app_configs():
        path = Path(app.path, "tests", "factories.py")
        if app.name.startswith("apps.") and path.exists():
            factories = import_module(f"{app.name}.tests.factories")
            if hasattr(factories, "plant"):
                factory.random.reseed_random(app.label)
                lines.append(f"{app.label}: {factories.plant()}")
    return "\n".join(lines)


def plant_users() -> str:
    login = f"{ADMIN[User.USERNAME_FIELD]} with the password {PASSWORD}"
    if User.objects.exists():
        return f"there are some already; the seed makes {login}"
    User.objects.create_superuser(**ADMIN, password=PASSWORD)
    UserFactory.create_batch(10)
    return f"log in as {login}"
