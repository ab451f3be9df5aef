"""Logging in by e-mail address: one person's, however it is typed."""

import io
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import async_to_sync
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from apps.users.lockout import attempted_email
from apps.users.models import User

pytestmark = pytest.mark.django_db

ADA = "ada@shop.test"
ADA_SHOUTED = "  ADA@Shop.Test "
PASSWORD = "correct horse battery"


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser(ADA_SHOUTED, PASSWORD)


def test_an_address_is_kept_in_lower_case(ada: User) -> None:
    assert (ada.email, ada.get_username(), str(ada)) == (ADA, ADA, ADA)
    assert "username" not in {field.name for field in User._meta.get_fields()}
    User.objects.filter(pk=ada.pk).update(email="ADA@NEW.TEST")
    ada.refresh_from_db()
    assert ada.email == "ada@new.test"


def test_users_that_are_made_by_the_manager() -> None:
    user = User.objects.create_user(ADA, first_name="Ada")
    assert (user.first_name, user.is_staff, user.is_superuser, user.has_usable_password()) == (
        "Ada",
        False,
        False,
        False,
    )
    made: Any = async_to_sync(User.objects.acreate_user)("Bob@Shop.test", PASSWORD)
    assert (made.email, made.is_staff, made.check_password(PASSWORD)) == ("bob@shop.test", False, True)
    made = async_to_sync(User.objects.acreate_superuser)("eve@shop.test", PASSWORD)
    assert (made.is_staff, made.is_superuser) == (True, True)
    with pytest.raises(ValueError, match="must be set"):
        User.objects.create_user("")


@pytest.mark.parametrize(
    ("one", "other"),
    [("ada@shop.test", "Ada@SHOP.test"), ("ÉLAN@shop.test", "élan@shop.test"), ("a@BÜCHER.test", "A@bücher.test")],
)
def test_an_address_is_one_persons_in_any_spelling(one: str, other: str) -> None:
    User.objects.create(email=one)
    for make in (User.objects.create_user, lambda email: User.objects.bulk_create([User(email=email)])):
        with pytest.raises(IntegrityError), transaction.atomic():
            make(other)
    assert User.objects.get(email=other) == User.objects.get_by_natural_key(other) == User.objects.get(email=one)


def test_sql_by_hand_cannot_store_a_second_spelling(ada: User) -> None:
    bob = User.objects.create_user("bob@shop.test")
    for spelling in (ADA, ADA.upper()):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE users_user SET email = %s WHERE id = %s", [spelling, bob.pk])


@pytest.mark.parametrize(
    "email", ["élan@shop.test", "a@bücher.test", "\N{LATIN SMALL LETTER LONG S}a@shop.test", "ada"]
)
def test_addresses_that_forms_refuse(email: str) -> None:
    with pytest.raises(ValidationError):
        User(email=email, password=PASSWORD).full_clean()
    User(email="A@XN--BCHER-KVA.test", password=PASSWORD).full_clean()


def test_a_person_logs_in_however_the_address_is_typed(ada: User, rf: RequestFactory) -> None:
    request = rf.post("/")
    assert authenticate(request, username=ADA_SHOUTED, password=PASSWORD) == ada
    assert authenticate(request, email=ADA.title(), password=PASSWORD) == ada
    assert async_to_sync(User.objects.aget_by_natural_key)(ADA.upper()) == ada
    assert authenticate(request, username="adb@shop.test", password=PASSWORD) is None


@pytest.mark.usefixtures("ada")
def test_wrong_passwords_are_counted_however_the_address_is_typed(client: Client, caplog: Any) -> None:
    spellings = [ADA, ADA.upper(), ADA.title(), ADA_SHOUTED, "aDa@shop.test"]
    statuses = [log_in(client, spelling, "a guess") for spelling in spellings]
    assert statuses == [200, 200, 200, 200, 429]
    assert log_in(client, ADA, PASSWORD) == 429
    assert set(AccessAttempt.objects.values_list("username", flat=True)) == {ADA}
    assert "login failure" in caplog.text
    assert ADA not in caplog.text.lower()


@pytest.mark.usefixtures("ada")
def test_logging_in_forgets_the_wrong_passwords_of_every_spelling(client: Client) -> None:
    attempts = [(ADA.upper(), "a guess")] * 4 + [(ADA.title(), PASSWORD)] + [(ADA, "a guess")] * 4
    assert 429 not in [log_in(client, *attempt) for attempt in attempts]


def test_whose_wrong_password_it_was(rf: RequestFactory) -> None:
    assert attempted_email(rf.post("/", {"email": "Ada@Shop.Test"})) == ADA
    assert attempted_email(rf.post("/"), {"username": ADA_SHOUTED}) == ADA
    assert attempted_email(rf.post("/")) is None


def test_a_password_that_resembles_the_address_is_refused(ada: User) -> None:
    for password in ("ada@shop.test", "adashop.test1"):
        with pytest.raises(ValidationError, match="too similar to the email address"):
            validate_password(password, ada)


def test_users_in_the_admin_go_by_their_address(ada: User, client: Client) -> None:
    client.force_login(ada)
    add = reverse("admin:users_user_add")
    form = {"email": "Bob@SHOP.test", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post(add, form).status_code == 302
    assert "already exists" in client.post(add, form | {"email": "BOB@shop.test"}).text
    bob = User.objects.get(email="bob@shop.test")
    assert bob.check_password(PASSWORD)

    change = reverse("admin:users_user_change", args=[bob.pk])
    assert 'name="username"' not in client.get(change).text
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert client.post(change, {"email": "Robert@SHOP.test", "is_active": "on"} | dates).status_code == 302
    bob.refresh_from_db()
    assert bob.email == "robert@shop.test"

    found = client.get(reverse("admin:users_user_changelist"), {"q": "ROBERT@shop"})
    assert list(found.context["cl"].result_list) == [bob]
    everybody = client.get(reverse("admin:users_user_changelist")).context["cl"].result_list
    assert [user.email for user in everybody] == [ADA, "robert@shop.test"]


def test_createsuperuser_asks_for_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["nonsense", "Ada@Shop.Test"])
    asked: list[str] = []
    errors = io.StringIO()

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("getpass.getpass", lambda prompt="": PASSWORD)
    with patch("sys.stdin.isatty", return_value=True):
        call_command("createsuperuser", stdout=io.StringIO(), stderr=errors)
    assert asked == ["Email address: "] * 2
    assert "valid email address" in errors.getvalue()
    assert User.objects.get(email=ADA).check_password(PASSWORD)


def test_createsuperuser_takes_the_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "Ada@Shop.Test")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, verbosity=0)
    assert User.objects.get(email=ADA).is_superuser
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "ADA@SHOP.TEST")
    with pytest.raises(CommandError, match="already taken"):
        call_command("createsuperuser", interactive=False)


def log_in(client: Client, email: str, password: str) -> int:
    return client.post(reverse("admin:login"), {"username": email, "password": password}).status_code
