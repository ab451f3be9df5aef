"""The API: who gets in, what they see and change, and how they are told no."""

import json
import tomllib
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path, reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from pytest_django.fixtures import Settings

from apps.api.models import AccessToken
from apps.users.models import User
from config import urls
from config.env import Env

ME = "/api/v1/users/me/"
# %if cookiecutter.api == "drf"
SCHEMA = "/api/schema/"
INVALID = 400
# %else
SCHEMA = "/api/openapi.json"
INVALID = 422
# %endif
CORS = "Access-Control-Allow-Origin"


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    cache.clear()


@pytest.fixture
def ada(db: None) -> User:
    return create_user("ada@shop.test", first_name="Ada")


@pytest.fixture
def token(ada: User) -> str:
    return issue(ada)


def test_a_stranger_is_told_how_to_get_in(client: Client, db: None) -> None:
    for response in (client.get(ME), patch(client, {"first_name": "Eve"})):
        assert (response.status_code, is_json(response)) == (401, True)
        assert "detail" in response.json()
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("credentials", ["Bearer nonsense", "Bearer", "Bearer a b", "Basic YTpi"])
def test_credentials_that_are_none(client: Client, db: None, credentials: str) -> None:
    assert client.get(ME, headers={"authorization": credentials}).status_code == 401


def test_what_a_person_sees_of_themselves(client: Client, ada: User, token: str) -> None:
    response = client.get(ME, headers=bearer(token))
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    seen = response.json()
    assert datetime.fromisoformat(seen.pop("date_joined")) - ada.date_joined < timedelta(seconds=1)
    assert seen == {
        # %if cookiecutter.login == "username"
        "username": "ada@shop.test",
        # %endif
        "email": "ada@shop.test",
        "first_name": "Ada",
        "last_name": "",
    }


def test_a_session_is_good_for_the_api_too(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert client.get(ME).json()["email"] == "ada@shop.test"


def test_a_person_changes_their_name_and_nothing_else(client: Client, ada: User, token: str) -> None:
    wanted = {"last_name": " Lovelace ", "email": "eve@shop.test", "is_staff": True, "is_superuser": True, "id": 7}
    response = patch(client, wanted, bearer(token))
    assert (response.status_code, response.json()["last_name"]) == (200, "Lovelace")
    ada.refresh_from_db()
    assert (ada.first_name, ada.last_name, ada.email) == ("Ada", "Lovelace", "ada@shop.test")
    assert (ada.is_staff, ada.is_superuser) == (False, False)


def test_nobody_changes_somebody_else(client: Client, ada: User, token: str) -> None:
    bob = create_user("bob@shop.test", first_name="Bob")
    patch(client, {"id": bob.pk, "first_name": "Eve"}, bearer(token))
    bob.refresh_from_db()
    assert bob.first_name == "Bob"


@pytest.mark.parametrize("name", [None, "x" * 151, "a\0b", "\ud800"])
def test_a_name_that_cannot_be_one(client: Client, token: str, name: object) -> None:
    response = patch(client, {"first_name": name}, bearer(token))
    assert (response.status_code, is_json(response)) == (INVALID, True)


@pytest.mark.parametrize("body", ["{", "[]", "null", "NaN", "\x80", pytest.param("[" * 100_000, id="deep")])
def test_a_body_that_is_no_object(client: Client, token: str, body: str) -> None:
    response = client.patch(ME, body, content_type="application/json", headers=bearer(token))
    assert response.status_code in (400, 422)
    assert is_json(response)


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_nothing_else_can_be_done_to_a_person(client: Client, token: str, method: str) -> None:
    assert getattr(client, method)(ME, headers=bearer(token)).status_code == 405


def test_a_session_changes_nothing_without_the_csrf_token(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert patch(client, {"first_name": "Eve"}).status_code == 403
    client.get(reverse("api-docs"))
    proof = {"x-csrftoken": client.cookies[settings.CSRF_COOKIE_NAME].value}
    assert patch(client, {"first_name": "Augusta"}, proof).status_code == 200


def test_a_token_needs_no_csrf_token(token: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert patch(client, {"first_name": "Augusta"}, bearer(token)).status_code == 200


def test_a_token_ends(client: Client, ada: User) -> None:
    text = issue(ada, expires_at=timezone.now())
    assert client.get(ME, headers=bearer(text)).status_code == 401


def test_a_token_can_be_revoked(client: Client, ada: User, token: str) -> None:
    ada.access_tokens.all().delete()
    assert client.get(ME, headers=bearer(token)).status_code == 401


def test_who_may_not_log_in_is_not_let_in_by_a_token(client: Client, ada: User, token: str) -> None:
    User.objects.update(is_active=False)
    assert client.get(ME, headers=bearer(token)).status_code == 401


def test_the_text_of_a_token_is_not_kept(ada: User, token: str) -> None:
    assert token not in str(AccessToken.objects.values().get())


def test_the_admin_shows_a_new_token_once(admin_client: Client, client: Client, ada: User) -> None:
    add = reverse("admin:api_accesstoken_add")
    expiry = timezone.now() + timedelta(days=1)
    form = {"user": ada.pk, "name": "till", "expires_at_0": f"{expiry:%Y-%m-%d}", "expires_at_1": "12:00:00"}
    page = admin_client.post(add, form, follow=True).text
    text = page.partition("not shown again: <code>")[2].partition("</code>")[0]
    assert client.get(ME, headers=bearer(text)).json()["email"] == "ada@shop.test"

    change = reverse("admin:api_accesstoken_change", args=[ada.access_tokens.get().pk])
    assert text not in admin_client.get(change).text
    assert "not shown again" not in admin_client.post(change, form | {"name": "kiosk"}, follow=True).text
    assert str(ada.access_tokens.get()) == "kiosk"
    assert client.get(ME, headers=bearer(text)).status_code == 200


def test_too_many_requests_by_one_person(client: Client, ada: User, token: str) -> None:
    statuses = [client.get(ME, headers=bearer(token)).status_code for _ in range(600)]
    refused = client.get(ME, headers=bearer(token))
    assert set(statuses) == {200}
    assert (refused.status_code, is_json(refused)) == (429, True)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert client.get(ME, headers=bearer(issue(create_user("bob@shop.test")))).status_code == 200


def test_too_many_requests_from_one_address_which_cannot_be_made_up(client: Client, settings: Settings) -> None:
    def ask(address: str, forwarded_for: str) -> int:
        return client.get("/api/", REMOTE_ADDR=address, headers={"x-forwarded-for": forwarded_for}).status_code

    statuses = [ask("127.0.0.1", f"192.0.2.{number}, 198.51.100.7") for number in range(61)]
    assert statuses == [200] * 60 + [429]
    assert ask("127.0.0.1", "198.51.100.8") == 200


# %if cookiecutter.api == "drf"
def test_lists_come_in_pages_of_limited_size() -> None:
    from rest_framework.request import Request

    pages = import_string(settings.REST_FRAMEWORK["DEFAULT_PAGINATION_CLASS"])()
    page = pages.paginate_queryset(range(1000), Request(RequestFactory().get("/", {"page_size": 1000})))
    assert (len(page), pages.page_size) == (200, 50)


# %else
def test_pages_of_a_list_have_a_limited_size() -> None:
    pages = import_string(settings.NINJA_PAGINATION_CLASS)()
    page = pages.paginate_queryset(range(1000), pages.Input(page=1, page_size=1000), RequestFactory().get("/"))
    assert (len(page["items"]), pages.page_size) == (200, 50)


# %endif
def test_the_entry_points(client: Client) -> None:
    links = client.get("/api/").json()
    assert links == {
        "docs": "http://testserver/api/docs/",
        "schema": f"http://testserver{SCHEMA}",
        "v1/users/me": f"http://testserver{ME}",
    }


def test_the_schema(client: Client) -> None:
    schema = client.get(SCHEMA).json()
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    assert (schema["info"]["title"], schema["info"]["version"]) == (settings.PROJECT_NAME, project["version"])
    assert set(schema["paths"]) == {ME}
    assert set(schema["paths"][ME]) == {"get", "patch"}
    assert {scheme["type"] for scheme in schema["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    assert set(schema["paths"][ME]["get"]["responses"]) == {"200", "401", "429"}


def test_the_docs_come_from_this_site_alone(client: Client) -> None:
    page = client.get("/api/docs/")
    assert (page.status_code, SCHEMA in page.text) == (200, True)
    assert "//" not in page.text.replace("/static/", "")


@pytest.mark.parametrize("address", ["/api/nowhere/", "/api/v2/", "/api/v1/users/1/"])
def test_what_is_not_there(client: Client, address: str) -> None:
    response = client.get(address)
    assert (response.status_code, is_json(response)) == (404, True)
    assert response.json()["detail"] == "Not Found"


@pytest.mark.urls(__name__)
def test_what_broke() -> None:
    response = Client(raise_request_exception=False).get("/api/broken/", headers={"x-request-id": "quote-me"})
    assert (response.status_code, is_json(response)) == (500, True)
    assert response.json() == {"detail": "Internal Server Error", "request_id": "quote-me"}


def test_other_sites_get_nothing_unless_they_are_named(client: Client) -> None:
    assert CORS not in preflight(client, "https://app.shop.test")
    assert CORS not in client.get("/api/", headers={"origin": "https://app.shop.test"}).headers


def test_a_site_that_is_named(client: Client, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.shop.test"]
    allowed = preflight(client, "https://app.shop.test")
    assert allowed[CORS] == "https://app.shop.test"
    assert "authorization" in allowed["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed
    assert CORS not in preflight(client, "https://evil.test")
    refused = client.get(ME, headers={"origin": "https://app.shop.test"})
    assert (refused.status_code, refused.headers[CORS]) == (401, "https://app.shop.test")
    assert CORS not in client.get("/robots.txt", headers={"origin": "https://app.shop.test"}).headers


@pytest.mark.parametrize(
    "text", ["*", "null", "app.shop.test", "https://", "https://app.shop.test/", "https://App.test", "ftp://app.test"]
)
def test_an_origin_that_no_browser_would_send(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ORIGINS", text)
    env = Env()
    env.origins("ORIGINS", default=[])
    assert env.problems == {"ORIGINS": "must be origins such as https://app.example.com, separated by commas"}


def test_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORIGINS", "https://app.shop.test, http://localhost:5173, http://[::1]:5173")
    env = Env()
    assert len(env.origins("ORIGINS", default=[])) == 3
    assert env.problems == {}


def create_user(email: str, **fields: str) -> User:
    return User.objects.create(**{User.USERNAME_FIELD: email, "email": email, **fields})


def issue(user: User, **fields: Any) -> str:
    """The text of a new token."""
    token = AccessToken(user=user, name="test", **fields)
    text = token.renew()
    token.save()
    return text


def is_json(response: Any) -> bool:
    content_type: str = response.headers["Content-Type"]
    return content_type.partition(";")[0] == "application/json"


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def patch(client: Client, changes: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    return client.patch(ME, json.dumps(changes), content_type="application/json", headers=headers or {})


def preflight(client: Client, origin: str) -> Any:
    """The headers of the answer to a browser that asks before it sends a PATCH."""
    asked = {"access-control-request-method": "PATCH", "access-control-request-headers": "authorization"}
    return client.options(ME, headers={"origin": origin} | asked).headers


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("sold out")


handler500 = urls.handler500
urlpatterns = [path("api/broken/", broken)]
