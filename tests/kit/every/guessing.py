"""core/guessing.py: which wrong passwords count together."""

import pytest
from apps.users.models import User
from config.settings import base
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.urls import reverse

PASSWORD = "correct horse battery"
GUESS = "a guess"


@pytest.fixture(autouse=True)
def ada(db, settings):
    settings.AXES_ENABLED = True
    User.objects.create_superuser("ada", password=PASSWORD)


def test_one_address_may_not_try_many_users(client):
    attempts = [log_in(client, username=f"user-{number}") for number in range(26)]
    assert attempts == [200] * 24 + [429] * 2
    assert log_in(client, PASSWORD) == 429
    assert log_in(client, PASSWORD, address="198.51.100.8") == 302


def test_a_network_of_ipv6_counts_as_one_address(client):
    attempts = [log_in(client, address=f"2001:db8::{number}") for number in range(1, 6)]
    assert attempts == [200] * 4 + [429]
    assert log_in(client, PASSWORD, address="2001:db8:0:1::1") == 302


def test_a_log_in_forgets_the_wrong_passwords_before(client):
    attempts = [GUESS] * 4 + [PASSWORD] + [GUESS] * 4
    assert 429 not in [log_in(client, password) for password in attempts]


def test_passwords_are_long_and_kept_with_little_memory(settings):
    validate_password("quay-rivet-9")
    with pytest.raises(ValidationError, match="at least 12 characters"):
        validate_password("quay-rivet9")
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    kept = make_password(PASSWORD)
    assert kept.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def log_in(client, password=GUESS, address="198.51.100.7", username="ada"):
    form = {"username": username, "password": password}
    return client.post(reverse("admin:login"), form, REMOTE_ADDR=address).status_code
