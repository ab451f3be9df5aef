"""The API: who may use it, how often, for what, and how it refuses."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from openapi_spec_validator import validate
from pytest_django.fixtures import Settings

from apps.api.models import AccessToken
from apps.users.models import User
from config.settings import base

pytestmark = pytest.mark.django_db

ME = "/api/v1/users/me/"
SITE = "https://app.shop.test"
SCHEMA = "api:schema"


@pytest.fixture
def ada() -> User:
    names = {User.USERNAME_FIELD: "ada@shop.test", "email": "ada@shop.test"}
    return User.objects.create(**names, first_name="Ada")


@pytest.fixture
def token(ada: User) -> str:
    """Return the text of a token of Ada's."""
    access = AccessToken(user=ada, name="till")
    access.renew()
    access.save()
    return access.text


@pytest.fixture
def staff(ada: User) -> User:
    """Return Ada, who may use the admin for tokens."""
    ada.is_staff = True
    ada.save()
    may = Permission.objects.filter(content_type__model="accesstoken")
    ada.user_permissions.set(may)
    return ada


def test_a_stranger_is_told_how_to_get_in(client: Client) -> None:
    for response in (client.get(ME), patch(client, {"first_name": "Eve"})):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json()["detail"]


def test_a_token_opens_the_api(client: Client, token: str) -> None:
    response = client.get(ME, headers=bearer(token))
    assert response.status_code == 200
    assert response.json()["email"] == "ada@shop.test"
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("credentials", ["Bearer nonsense", "Bearer", "Basic YTpi"])
def test_other_credentials_open_nothing(client: Client, credentials: str) -> None:
    assert client.get(ME, headers={"authorization": credentials}).status_code == 401


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (AccessToken, {"expires_at": timezone.now()}),
        (AccessToken, {"created_at": timezone.now() - base.API_TOKEN_MAX_AGE}),
        (AccessToken, {"digest": ""}),
        (User, {"is_active": False}),
        (User, {"password": "another"}),
    ],
)
def test_a_token_opens_nothing_once_it_or_its_user_has_changed(
    client: Client, token: str, model: Any, change: dict[str, Any]
) -> None:
    model.objects.update(**change)
    assert client.get(ME, headers=bearer(token)).status_code == 401


def test_the_text_of_a_token_is_not_kept(token: str) -> None:
    assert token not in str(AccessToken.objects.values())


def test_the_admin_shows_a_new_token_once(client: Client, staff: User) -> None:
    """Whoever is named, it is the token of the person who asks."""
    other = User.objects.create_superuser("root@shop.test")
    client.force_login(staff)
    page = add_token(client, days=1, user=other.pk)
    text = page.partition("<code>")[2].partition("</code>")[0]
    me = Client().get(ME, headers=bearer(text))
    assert me.json()["email"] == "ada@shop.test"
    assert text not in str(Session.objects.get().get_decoded())
    token = staff.access_tokens.get()
    change = reverse("admin:api_accesstoken_change", args=[token.pk])
    assert text not in client.get(change).text


def test_a_token_ends_in_a_year_at_the_latest(client: Client, staff: User) -> None:
    client.force_login(staff)
    assert "at the latest" in add_token(client, days=366)
    assert not AccessToken.objects.exists()


def test_only_a_superuser_touches_the_tokens_of_others_and_keeps_their_owner(
    client: Client, admin_client: Client, staff: User, admin_user: User
) -> None:
    access = AccessToken(user=admin_user, name="till")
    access.renew()
    access.save()
    change = reverse("admin:api_accesstoken_change", args=[access.pk])
    client.force_login(staff)
    assert client.get(change).status_code == 302
    form = token_form(days=1, name="desk", user=staff.pk)
    assert admin_client.post(change, form).status_code == 302
    access.refresh_from_db()
    assert (access.name, access.user) == ("desk", admin_user)


def test_a_person_changes_their_names_and_nothing_else(
    client: Client, ada: User, token: str
) -> None:
    wanted = {"last_name": " Lovelace ", "email": "eve@shop.test", "is_staff": True}
    response = patch(client, wanted, **bearer(token))
    assert (response.status_code, response.json()["last_name"]) == (200, "Lovelace")
    ada.refresh_from_db()
    assert (ada.email, ada.is_staff) == ("ada@shop.test", False)


def test_a_session_changes_nothing_without_the_csrf_token(
    ada: User, settings: Settings
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert client.get(ME).status_code == 200
    assert patch(client, {"first_name": "Eve"}).status_code == 403
    client.get(reverse("api:docs"))
    proof = {"x-csrftoken": client.cookies[settings.CSRF_COOKIE_NAME].value}
    assert patch(client, {"first_name": "Augusta"}, **proof).status_code == 200


@pytest.mark.parametrize(
    "body",
    ["{", "[]", '{"first_name": null}', pytest.param("[" * 100_000, id="deep")],
)
def test_a_body_that_is_not_understood_is_refused(
    client: Client, token: str, body: str
) -> None:
    response = patch(client, body, **bearer(token))
    assert response.status_code in (400, 422)
    assert response.json()


def test_a_body_that_is_too_large_is_refused(
    client: Client, token: str, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = patch(client, {"first_name": "x" * 101}, **bearer(token))
    assert (response.status_code, "100 bytes" in response.text) == (413, True)


def test_an_address_may_ask_so_often_and_cannot_be_made_up(
    client: Client, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = 1
    limit = int(settings.API_RATES["anon"].partition("/")[0])
    for number in range(limit + 1):
        headers = {"x-forwarded-for": f"192.0.2.{number % 256}, 198.51.100.7"}
        response = client.get("/api/", headers=headers)
    assert response.status_code == 429
    assert response.headers["Retry-After"]
    assert client.get("/api/", REMOTE_ADDR="198.51.100.8").status_code == 200


@pytest.mark.parametrize("address", [ME, "/api/docs/", reverse_lazy(SCHEMA)])
def test_refusals_and_documents_count_too(
    client: Client, settings: Settings, address: str
) -> None:
    headers = {"authorization": "Bearer wrong"} if address == ME else {}
    limit = int(settings.API_RATES["anon"].partition("/")[0])
    for number in range(limit + 1):
        peer = f"2001:db8::{number:x}"
        response = client.get(address, headers=headers, REMOTE_ADDR=peer)
    assert response.status_code == 429
    assert response.headers["Retry-After"]


def test_strangers_whose_address_is_unknown_share_no_limit(
    client: Client, settings: Settings
) -> None:
    limit = int(settings.API_RATES["anon"].partition("/")[0])
    for _ in range(limit + 1):
        response = client.get("/api/", REMOTE_ADDR="")
    assert response.status_code == 200


def test_the_schema_is_valid(client: Client) -> None:
    schema = client.get(reverse(SCHEMA)).json()
    validate(schema)
    assert ME in schema["paths"]


def test_the_docs_come_from_this_site_alone(client: Client) -> None:
    page = client.get(reverse("api:docs"))
    assert page.status_code == 200
    assert reverse(SCHEMA) in page.text
    assert "//" not in page.text


@pytest.mark.urls("failing_urls")
@pytest.mark.parametrize(
    ("address", "status"), [("/api/missing/", 404), ("/api/broken/", 500)]
)
def test_an_error_is_json_with_the_request_id(address: str, status: int) -> None:
    client = Client(raise_request_exception=False)
    response = client.get(address, headers={"x-request-id": "quote-me"})
    assert response.status_code == status
    assert response.json()["request_id"] == "quote-me"


def test_other_sites_may_use_the_api_only_if_they_are_named(
    client: Client, settings: Settings
) -> None:
    settings.CORS_ALLOWED_ORIGINS = [SITE]
    for origin, allowed in [(SITE, SITE), ("https://evil.test", None)]:
        response = client.get(ME, headers={"origin": origin})
        assert response.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in response.headers


def add_token(client: Client, days: int, **form: Any) -> str:
    """Return the page that the admin answers with."""
    add = reverse("admin:api_accesstoken_add")
    return client.post(add, token_form(days, **form)).text


def token_form(days: int, **form: Any) -> dict[str, Any]:
    day = f"{timezone.now() + timedelta(days=days):%Y-%m-%d}"
    return {"name": "till", "expires_at_0": day, "expires_at_1": "12:00", **form}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def patch(client: Client, changes: dict[str, Any] | str, **headers: str) -> Any:
    """Send changes, or the text of a body."""
    body = changes if isinstance(changes, str) else json.dumps(changes)
    return client.patch(ME, body, content_type="application/json", headers=headers)
