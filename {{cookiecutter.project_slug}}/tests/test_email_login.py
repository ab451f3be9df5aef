"""People log in by e-mail address: one person's, however it is typed."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.users.models import User
from apps.users.models.emails import attempted_email

pytestmark = pytest.mark.django_db

ADA, SHOUTED = "ada@shop.test", "  ADA@Shop.Test "
PASSWORD = "correct horse battery"


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser(SHOUTED, PASSWORD)


def test_an_address_is_kept_in_lower_case(ada: User) -> None:
    assert (ada.email, ada.get_username()) == (ADA, ADA)
    User.objects.update(email="ADA@NEW.TEST")
    ada.refresh_from_db()
    assert ada.email == "ada@new.test"


def test_a_user_needs_an_address_and_no_password() -> None:
    assert not User.objects.create_user(ADA).has_usable_password()
    with pytest.raises(ValueError, match="must be set"):
        User.objects.create_user("")


def test_users_can_be_made_by_asynchronous_code() -> None:
    user = async_to_sync(User.objects.acreate_user)(SHOUTED, PASSWORD)
    assert (user.email, user.is_staff) == (ADA, False)
    admin = async_to_sync(User.objects.acreate_superuser)("bob@shop.test", PASSWORD)
    assert (admin.is_staff, admin.is_superuser) == (True, True)


@pytest.mark.usefixtures("ada")
def test_a_second_spelling_of_an_address_is_refused() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(SHOUTED)


@pytest.mark.usefixtures("ada")
def test_sql_by_hand_cannot_store_a_second_spelling() -> None:
    bob = User.objects.create_user("bob@shop.test")
    statement = "UPDATE users_user SET email = %s WHERE id = %s"
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute(statement, [ADA.upper(), bob.pk])


@pytest.mark.parametrize("email", ["élan@shop.test", "a@bücher.test", "ada"])
def test_an_address_that_databases_compare_differently_is_refused(email: str) -> None:
    with pytest.raises(ValidationError):
        User(email=email, password=PASSWORD).full_clean()


def test_a_person_logs_in_however_the_address_is_typed(
    ada: User, rf: RequestFactory
) -> None:
    for spelling in (ADA, SHOUTED):
        # %if cookiecutter.accounts == "allauth"
        spelling = spelling.strip()  # as the form does
        # %endif
        assert authenticate(rf.post("/"), username=spelling, password=PASSWORD) == ada


@pytest.mark.usefixtures("ada")
def test_wrong_passwords_count_however_the_address_is_typed(
    client: Client, settings: Settings
) -> None:
    settings.AXES_ENABLED = True
    for number in range(settings.AXES_FAILURE_LIMIT):
        spelling = ADA.upper() if number % 2 else ADA
        # %if cookiecutter.accounts == "allauth"
        form = {"login": spelling, "password": "a guess"}
        # %else
        form = {"username": spelling, "password": "a guess"}
        # %endif
        response = client.post(reverse(settings.LOGIN_URL), form)
    assert response.status_code == 429


def test_forms_may_call_the_address_email(rf: RequestFactory) -> None:
    assert attempted_email(rf.post("/", {"email": SHOUTED})) == ADA
    assert attempted_email(rf.post("/")) is None


def test_the_admin_adds_and_finds_users_by_their_address(
    ada: User, client: Client
) -> None:
    client.force_login(ada)
    passwords = {"password1": PASSWORD, "password2": PASSWORD}
    form = {"email": "Bob@Shop.test", "usable_password": "true", **passwords}
    assert client.post(reverse("admin:users_user_add"), form).status_code == 302
    bob = User.objects.get(email="bob@shop.test")
    assert bob.check_password(PASSWORD)
    users = client.get(reverse("admin:users_user_changelist"), {"q": "BOB@"})
    assert list(users.context["cl"].result_list) == [bob]


def test_createsuperuser_takes_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", email=SHOUTED, interactive=False, verbosity=0)
    assert User.objects.get(email=ADA).is_superuser
