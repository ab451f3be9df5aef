"""core/guessing.py: which wrong passwords count together."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from apps.users.hashers import Argon2PasswordHasher
from apps.users.models import User
from axes.models import AccessAttempt
from config.settings import base
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
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


@pytest.mark.django_db(transaction=True)
def test_of_guesses_at_the_same_moment_no_more_are_checked(settings, monkeypatch):
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    User.objects.create_superuser("grace", password=PASSWORD)
    checked, verify = [], Argon2PasswordHasher.verify

    def count(hasher, password, encoded):
        checked.append(password)
        return verify(hasher, password, encoded)

    def guess(password):
        try:
            return log_in(Client(), password, username="grace")
        finally:
            connection.close()

    monkeypatch.setattr(Argon2PasswordHasher, "verify", count)
    passwords = [f"guess {number}" for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, passwords))
    assert (len(checked), answers.count(429) >= 16) == (5, True)


def test_a_name_that_is_too_long_for_the_table_is_nobodys(client):
    assert [log_in(client, username="a" * 256) for _ in range(6)] == [200] * 6
    assert not AccessAttempt.objects.exists()


def test_strangers_whose_address_is_unknown_count_by_user_alone(client):
    attempts = [
        log_in(client, address="", username=f"user-{number}") for number in range(30)
    ]
    assert attempts == [200] * 30
    assert [log_in(client, address="") for _ in range(5)] == [200] * 4 + [429]
    assert log_in(client, PASSWORD, address="") == 429


def test_nothing_that_was_sent_is_kept(client):
    form = {"username": "ada", "password": GUESS, "token": "s3cret"}
    client.post(reverse("admin:login") + "?key=s3cret", form)
    assert AccessAttempt.objects.count() == 1
    assert "s3cret" not in str(AccessAttempt.objects.values())


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
