"""The pages for accounts: who gets in, what is counted, and what nobody is told."""

import re
import time
from base64 import b32decode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from axes.utils import reset
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.conf import settings as conf
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.users.models import User

pytestmark = pytest.mark.django_db

ADA, PASSWORD = "ada@shop.test", "correct horse battery"
# %if cookiecutter.login == "email"
NAMES, LOGIN = {"email": ADA}, ADA
# %else
NAMES, LOGIN = {"username": "ada", "email": ADA}, "ada"
# %endif
ANYBODY = ("account_login", "account_reset_password", "account_signup")
PERSON = (
    "account_change_password",
    "account_email",
    "account_logout",
    "account_reauthenticate",
    "mfa_index",
    "socialaccount_connections",
    "usersessions_list",
)
AFTER_THE_PASSWORD = ("mfa_activate_totp", "mfa_add_webauthn")


@pytest.fixture
def ada() -> User:
    """A superuser as `createsuperuser` makes one."""
    return User.objects.create_superuser(**NAMES, password=PASSWORD)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the passwords that are hashed."""
    encode, counted = MD5PasswordHasher.encode, Counter[str]()

    def count(hasher: Any, password: str, salt: str) -> str:
        counted["hashes"] += 1
        return encode(hasher, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", count)
    return counted


@pytest.mark.usefixtures("ada")
def test_every_page_answers_with_one_heading_and_without_inline_code(
    client: Client, settings: Settings
) -> None:
    settings.ACCOUNT_SIGNUP_ENABLED = True
    pages = [client.get(reverse(name)) for name in ANYBODY]
    log_in(client)
    pages += [client.get(reverse(name)) for name in PERSON]
    post(client, "account_reauthenticate", password=PASSWORD)
    pages += [client.get(reverse(name)) for name in AFTER_THE_PASSWORD]
    for page in pages:
        assert (page.status_code, page.text.count("<h1>")) == (200, 1)
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert not re.search(r" style=| on\w+=|<style|<script>", page.text)


def test_nobody_signs_up_unless_it_is_switched_on(client: Client) -> None:
    assert not conf.ACCOUNT_SIGNUP_ENABLED
    assert reverse("account_signup") not in client.get("/").text
    sign_up(client, ADA)
    assert not User.objects.exists()
    ask_for_reset(client, ADA)
    assert reverse("account_signup") not in mail.outbox[0].body


def test_who_signs_up_confirms_the_address_and_logs_in(
    client: Client, settings: Settings
) -> None:
    settings.ACCOUNT_SIGNUP_ENABLED = True
    sign_up(client, ADA)
    assert log_in(client).url == reverse("account_email_verification_sent")
    link = find_link(mail.outbox[0])
    assert client.get(link).status_code == 200
    client.post(link)
    assert log_in(client).url == reverse("home")


def test_a_taken_address_is_told_to_its_owner_alone(
    ada: User, settings: Settings, hashes: Counter[str]
) -> None:
    settings.ACCOUNT_SIGNUP_ENABLED = True
    for send in (sign_up, ask_for_reset, guess):
        told = []
        for address in (ada.email, "bob@shop.test"):
            hashes.clear()
            mail.outbox.clear()
            page = send(Client(), address)
            text = page.text.replace(address, "").replace(address.split("@")[0], "")
            text = re.sub(r'(csrfmiddlewaretoken" value|nonce)="\w+"', "", text)
            told.append((page.status_code, text, len(mail.outbox), hashes["hashes"]))
        assert told[0] == told[1], send


@pytest.mark.usefixtures("ada")
def test_a_link_by_mail_sets_a_new_password(client: Client) -> None:
    ask_for_reset(client, ADA)
    form = client.get(find_link(mail.outbox[0]), follow=True)
    words = dict.fromkeys(("password1", "password2"), "another horse battery")
    client.post(form.redirect_chain[-1][0], words)
    assert log_in(client).status_code == 200
    assert log_in(client, "another horse battery").status_code == 302


@pytest.mark.usefixtures("ada")
def test_wrong_answers_after_the_log_in_lock_out_too(
    client: Client, settings: Settings
) -> None:
    log_in(client)
    set_up_totp(client)
    settings.AXES_ENABLED = True
    limit = settings.AXES_FAILURE_LIMIT
    form = dict.fromkeys(("password1", "password2"), "another horse battery")
    for page, answer in (
        ("account_reauthenticate", {"password": "a guess"}),
        ("account_change_password", {"oldpassword": "a guess", **form}),
        ("mfa_reauthenticate", {"code": "a guess"}),
    ):
        attempts = [post(client, page, **answer).status_code for _ in range(limit)]
        assert attempts == [200] * (limit - 1) + [429]
        assert log_in(Client()).status_code == 429
        reset()
    # The right answer does not count.
    for _ in range(limit + 1):
        assert post(client, "account_reauthenticate", password=PASSWORD).url
    stranger = Client()
    assert log_in(stranger).url == reverse("mfa_authenticate")
    attempts = [
        post(stranger, "mfa_authenticate", code="1").status_code for _ in range(limit)
    ]
    assert attempts == [200] * (limit - 2) + [429] * 2


def test_a_second_factor_is_asked_for_and_its_secret_is_encrypted(
    ada: User, client: Client
) -> None:
    log_in(client)
    secret = set_up_totp(client)
    stored = Authenticator.objects.get(user=ada, type=Authenticator.Type.TOTP)
    assert secret not in str(stored.data)
    codes = client.get(reverse("mfa_view_recovery_codes")).context["unused_codes"]
    for answer in (make_code(secret), codes[0]):
        another = Client()
        assert log_in(another).url == reverse("mfa_authenticate")
        assert post(another, "mfa_authenticate", code="000000").status_code == 200
        assert post(another, "mfa_authenticate", code=answer).url == reverse("home")
    assert post(another, "mfa_reauthenticate", code=codes[0]).status_code == 200


def test_the_admin_asks_staff_for_a_second_factor(
    ada: User, client: Client, settings: Settings
) -> None:
    settings.ADMIN_REQUIRE_MFA = True
    index = reverse("admin:index")
    assert client.get(index, follow=True).redirect_chain[-1][0].startswith("/accounts/")
    log_in(client)
    assert client.get(index, follow=True).redirect_chain[-1][0] == reverse("mfa_index")
    secret = set_up_totp(client)
    page = client.get(index, follow=True).redirect_chain[-1][0]
    assert page == f"{reverse('mfa_reauthenticate')}?next={index}"
    assert client.post(page, {"code": make_code(secret)}).url == index  # type: ignore[attr-defined]
    assert client.get(index).status_code == 200
    assert client.get(reverse("admin:login"), follow=True).request["PATH_INFO"] == index
    customer = Client()
    customer.force_login(User.objects.create_user("bob@shop.test"))
    assert customer.get(index, follow=True).status_code == 403


@pytest.mark.parametrize("address", [ADA, "İda@shop.test"])
def test_nobody_gets_in_by_an_address_that_was_not_confirmed(
    client: Client, settings: Settings, address: str
) -> None:
    settings.ACCOUNT_SIGNUP_ENABLED = True
    bob = User.objects.create_user("bob@shop.test")

    def be_faster(**kwargs: Any) -> None:
        EmailAddress.objects.get_or_create(user=bob, email=ADA)

    with before_a_user_is_saved(be_faster):
        sign_up(client, address)
    assert User.objects.count() == 1 + address.isascii()
    log_in(client)
    assert SESSION_KEY not in client.session
    assert not EmailAddress.objects.filter(verified=True).exists()


def test_of_two_sign_ups_at_the_same_moment_one_is_told(
    client: Client, settings: Settings
) -> None:
    settings.ACCOUNT_SIGNUP_ENABLED = True

    def be_faster(**kwargs: Any) -> None:
        User.objects.bulk_create([User(**NAMES)])

    with before_a_user_is_saved(be_faster):
        page = sign_up(client, ADA)
    # %if cookiecutter.login == "email"
    end = "account_email_verification_sent"
    assert [message.to for message in mail.outbox] == [[ADA]]
    # %else
    end = "account_signup"
    assert ("already exists" in page.text, mail.outbox) == (True, [])
    # %endif
    assert page.redirect_chain == [(reverse(end), 302)]


def test_an_address_that_no_mail_reaches_costs_no_page(
    ada: User, client: Client
) -> None:
    too_long = f"ada@{'ä' * 60}.test"
    EmailAddress.objects.create(user=ada, email=ADA, verified=True)
    EmailAddress.objects.create(user=ada, email=too_long, verified=True, primary=True)
    log_in(client)
    form = dict.fromkeys(("password1", "password2"), "another horse battery")
    post(client, "account_change_password", oldpassword=PASSWORD, **form)
    assert "could not send" in client.get(reverse("mfa_index")).text
    page = post(client, "account_email", action_add="", email=too_long)
    assert "without accents" in page.text
    assert "without accents" in ask_for_reset(client, too_long).text


def test_an_address_that_staff_change_takes_the_place_of_the_former(
    ada: User, client: Client, admin_client: Client
) -> None:
    log_in(client)
    page = reverse("admin:users_user_change", args=[ada.pk])
    fields = admin_client.get(page).context["adminform"].form.initial
    form = {name: value for name, value in fields.items() if value}
    form |= {"email": "Ada@New.test", "last_login_0": "", "last_login_1": ""}
    joined = ada.date_joined
    form |= {"date_joined_0": joined.date(), "date_joined_1": joined.time()}
    assert admin_client.post(page, form).status_code == 302
    assert not EmailAddress.objects.filter(user=ada).exists()
    ask_for_reset(client, "ada@new.test")
    assert mail.outbox[-1].to == ["ada@new.test"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("ada")
def test_the_first_factor_ends_sessions_of_a_password_alone(client: Client) -> None:
    other = Client()
    log_in(other)
    log_in(client)
    set_up_totp(client)
    assert client.get(reverse("mfa_index")).status_code == 200
    assert other.get(reverse("mfa_index")).status_code == 302


def test_ones_own_password_is_changed_where_guesses_are_counted(
    admin_client: Client, admin_user: User
) -> None:
    own = reverse("admin:auth_user_password_change", args=[admin_user.pk])
    for page in (reverse("admin:password_change"), own):
        answer: Any = admin_client.get(page)
        assert answer.url == reverse("account_change_password")


@pytest.mark.parametrize(
    "garbage",
    [
        "[" * 100_000,
        "1" * 5_000,
        '"é"',
        '{"id": "x"}',
        '{"rawId": "AA", "response": {"authenticatorData": 99999999999999999}}',
        '{"rawId": "AA", "response": {}, "clientExtensionResults": 5}',
    ],
)
def test_a_credential_that_no_browser_sends_is_refused(
    client: Client, garbage: str
) -> None:
    page = post(client, "mfa_login_webauthn", credential=garbage)
    assert page.status_code in (200, 302, 400)


# %if cookiecutter.login == "email"
def test_each_address_of_a_person_counts_as_the_person(
    ada: User, client: Client, settings: Settings
) -> None:
    settings.AXES_ENABLED = True
    EmailAddress.objects.create(user=ada, email="a@shop.test", verified=True)
    form = {"login": "a@shop.test", "password": PASSWORD}
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        assert post(Client(), "account_login", **form).status_code == 302
    for _ in range(settings.AXES_FAILURE_LIMIT):
        post(client, "account_login", **form | {"password": "a guess"})
    assert log_in(Client()).status_code == 429


# %endif
@pytest.mark.usefixtures("ada")
def test_a_mail_server_that_is_away_costs_no_page(
    client: Client, settings: Settings
) -> None:
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    away = {"BACKEND": smtp, "OPTIONS": {"host": "127.0.0.1", "port": 9}}
    settings.MAILERS = {"default": away}
    settings.ACCOUNT_SIGNUP_ENABLED = True
    for page in (ask_for_reset(client, ADA), sign_up(client, "bob@shop.test")):
        assert (page.status_code, "could not send" in page.text) == (200, True)
        assert "email sent" not in page.text


def test_a_provider_that_is_away_leads_back_to_the_log_in(
    client: Client, settings: Settings
) -> None:
    app = {"provider_id": "sso", "name": "Sso", "client_id": "a", "secret": "b"}
    app |= {"settings": {"server_url": "http://127.0.0.1:9/"}}  # type: ignore[dict-item]
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    assert "Sso" in client.get(reverse("account_login")).text
    link = reverse("openid_connect_login", args=["sso"])
    page = client.post(link, follow=True)
    assert page.redirect_chain == [(reverse("account_login"), 302)]
    assert "could not be used" in page.text


def test_other_sessions_can_be_ended(ada: User, client: Client) -> None:
    other = Client()
    log_in(other)
    log_in(client)
    # %if cookiecutter.api != "none"
    token = ada.access_tokens.model(user=ada, name="A program")
    token.renew()
    token.save()
    # %endif
    post(client, "usersessions_list")
    # %if cookiecutter.api != "none"
    assert not ada.access_tokens.exists()
    # %endif
    assert client.get(reverse("mfa_index")).status_code == 200
    assert other.get(reverse("mfa_index")).status_code == 302


def test_an_address_that_staff_enter_counts_as_confirmed(
    ada: User, client: Client
) -> None:
    # django-allauth keeps the address then, unconfirmed.
    ask_for_reset(client, ADA)
    assert log_in(client).url == reverse("home")
    address = EmailAddress.objects.get(user=ada)
    assert (address.email, address.verified, address.primary) == (ADA, True, True)
    assert len(mail.outbox) == 1


def test_no_other_address_takes_the_place_of_one_that_staff_entered(
    ada: User, client: Client
) -> None:
    log_in(client)
    EmailAddress.objects.all().delete()
    client.get(reverse("account_email"))
    EmailAddress.objects.create(user=ada, email="bob@shop.test")
    post(client, "account_reauthenticate", password=PASSWORD)
    page = post(client, "account_email", action_remove="", email=ADA)
    assert page.status_code == 302
    ada.refresh_from_db()
    assert ada.email == ADA


@contextmanager
def before_a_user_is_saved(act: Callable[..., None]) -> Iterator[None]:
    pre_save.connect(act, sender=User)
    try:
        yield
    finally:
        pre_save.disconnect(act, sender=User)


def post(client: Client, name: str, **form: str) -> Any:
    return client.post(reverse(name), form)


def log_in(client: Client, password: str = PASSWORD) -> Any:
    return post(client, "account_login", login=LOGIN, password=password)


def guess(client: Client, address: str) -> Any:
    # %if cookiecutter.login == "email"
    name = address
    # %else
    name = address.split("@")[0]
    # %endif
    return post(client, "account_login", login=name, password="a guess")


def sign_up(client: Client, address: str) -> Any:
    # %if cookiecutter.login == "email"
    form = {"email": address, "password1": PASSWORD}
    # %else
    name = "ada" if not User.objects.exists() else "new"
    form = {"username": name, "email": address, "password1": PASSWORD}
    # %endif
    return client.post(reverse("account_signup"), form, follow=True)


def ask_for_reset(client: Client, address: str) -> Any:
    form = {"email": address}
    return client.post(reverse("account_reset_password"), form, follow=True)


def find_link(message: Any) -> str:
    """Return the path of the link in a mail."""
    found = re.search(r"https?://[^/]+(/\S+)", str(message.body))
    assert found
    return found[1]


def set_up_totp(client: Client) -> str:
    """Add an authenticator app; return its secret."""
    post(client, "account_reauthenticate", password=PASSWORD)
    secret: str = client.get(reverse("mfa_activate_totp")).context["form"].secret
    assert post(client, "mfa_activate_totp", code=make_code(secret)).status_code == 302
    return secret


def make_code(secret: str) -> str:
    """Return the code that the app shows now."""
    return TOTP(b32decode(secret), 6, SHA1(), 30).generate(int(time.time())).decode()  # noqa: S303
