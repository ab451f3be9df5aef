"""Makes users for tests and for a database to look at."""

import factory
from factory.django import DjangoModelFactory

from apps.users.models import User


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    # %if cookiecutter.login == "username"
    username = factory.Sequence(lambda number: f"user{number}")
    # %endif
    email = factory.Sequence(lambda number: f"user{number}@example.com")
    first_name = factory.Faker("first_name")
    last_name = factory.Faker("last_name")
