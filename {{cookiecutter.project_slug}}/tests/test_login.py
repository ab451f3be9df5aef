"""Wrong passwords lock a user out, for the address that they come from."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.users.models import User

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def user(db: None, settings: Settings) -> User:
    settings.AXES_ENABLED = True
    names = {User.USERNAME_FIELD: "ada@shop.test", "email": "ada@shop.test"}
    return User.objects.create_superuser(**names, password=PASSWORD)


def test_the_right_password_logs_in(client: Client) -> None:
    assert log_in(client, PASSWORD) == 302
    assert client.get(reverse("admin:index")).status_code == 200


def test_wrong_passwords_lock_out(client: Client, settings: Settings) -> None:
    attempts = [log_in(client, "a guess") for _ in range(settings.AXES_FAILURE_LIMIT)]
    assert attempts == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429]
    assert log_in(client, PASSWORD) == 429


def test_wrong_passwords_from_elsewhere_lock_nobody_out(
    client: Client, settings: Settings
) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in(client, "a guess")
    assert log_in(client, PASSWORD, address="198.51.100.8") == 302


def test_a_next_page_of_another_site_is_refused(client: Client) -> None:
    # %if cookiecutter.accounts == "allauth"
    form = {"login": "ada@shop.test", "password": PASSWORD}
    # %else
    form = {"username": "ada@shop.test", "password": PASSWORD}
    # %endif
    form |= {"next": "https://elsewhere.test/"}
    # %if cookiecutter.accounts == "allauth"
    response = client.post(reverse("account_login"), form, follow=True)
    # %else
    response = client.post(reverse("admin:login"), form, follow=True)
    # %endif
    assert response.redirect_chain == [("/", 302)]
    assert response.status_code == 200


def log_in(client: Client, password: str, address: str = "198.51.100.7") -> int:
    """Return the status of an attempt to log in."""
    # %if cookiecutter.accounts == "allauth"
    form, page = {"login": "ada@shop.test", "password": password}, "account_login"
    return client.post(reverse(page), form, REMOTE_ADDR=address).status_code
    # %else
    form = {"username": "ada@shop.test", "password": password}
    return client.post(reverse("admin:login"), form, REMOTE_ADDR=address).status_code
    # %endif
