"""The headers that a browser gets, the proxies that are trusted, the bodies that are read."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.users.models import User
from core.proxies import is_trusted

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


@pytest.fixture(autouse=True)
def one_trusted_proxy(settings: Settings) -> Iterator[None]:
    is_trusted.cache_clear()
    settings.FORWARDED_ALLOW_IPS, settings.TRUSTED_PROXIES = ["10.0.0.0/8"], 1
    yield
    is_trusted.cache_clear()


@pytest.mark.parametrize(
    "header",
    [
        "Cross-Origin-Opener-Policy",
        "Permissions-Policy",
        "Referrer-Policy",
        "X-Content-Type-Options",
        "X-Frame-Options",
    ],
)
def test_a_response_has_the_header(client: Client, header: str) -> None:
    assert client.get("/").headers[header]


def test_scripts_and_styles_run_by_a_nonce_that_is_new_each_time(
    admin_client: Client,
) -> None:
    response = admin_client.get(reverse("admin:index"))
    policy = response.headers["Content-Security-Policy"]
    [nonce] = set(re.findall(r"'nonce-([^']+)'", policy))
    assert f'nonce="{nonce}"' in response.text
    assert "unsafe" not in policy
    assert nonce not in admin_client.get(reverse("admin:index")).text


@pytest.mark.usefixtures("production")
def test_production_insists_on_https(client: Client) -> None:
    assert client.get("/").status_code == 301
    response = client.get("/", secure=True)
    assert response.status_code == 200
    assert response.headers["Strict-Transport-Security"]


@pytest.mark.usefixtures("production")
@pytest.mark.django_db
def test_production_sets_cookies_for_https_and_this_host_only(client: Client) -> None:
    names = {User.USERNAME_FIELD: "ada@shop.test", "email": "ada@shop.test"}
    User.objects.create_superuser(**names, password="correct horse battery")
    # %if cookiecutter.accounts == "allauth"
    form = {"login": "ada@shop.test", "password": "correct horse battery"}
    assert client.post(reverse("account_login"), form, secure=True).status_code == 302
    # %else
    form = {"username": "ada@shop.test", "password": "correct horse battery"}
    assert client.post(reverse("admin:login"), form, secure=True).status_code == 302
    # %endif
    assert len(client.cookies) == 2
    for name, cookie in client.cookies.items():
        assert (name.startswith("__Host-"), cookie["secure"]) == (True, True)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client_address"),
    [
        pytest.param(PROXY, "198.51.100.7", "198.51.100.7", id="a proxy"),
        pytest.param(PROXY, "1.2.3.4, 198.51.100.7", "198.51.100.7", id="a lie"),
        pytest.param(STRANGER, "198.51.100.7", STRANGER, id="a stranger"),
    ],
)
def test_only_a_trusted_proxy_tells_the_address_of_the_client(
    client: Client, peer: str, forwarded_for: str, client_address: str
) -> None:
    headers = {"x-forwarded-for": forwarded_for}
    response = client.get("/", headers=headers, REMOTE_ADDR=peer)
    assert response.wsgi_request.META["REMOTE_ADDR"] == client_address


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize(("peer", "status"), [(PROXY, 200), (STRANGER, 301)])
def test_only_a_trusted_proxy_tells_that_a_request_came_over_https(
    client: Client, peer: str, status: int
) -> None:
    headers = {"x-forwarded-proto": "https"}
    response = client.get("/", headers=headers, REMOTE_ADDR=peer)
    assert response.status_code == status


def test_a_body_that_is_too_large_is_refused(
    client: Client, settings: Settings
) -> None:
    settings.REQUEST_MAX_BODY_SIZE = 100
    response = client.post("/", headers={"content-length": "101"})
    assert (response.status_code, "100 bytes" in response.text) == (413, True)


@pytest.mark.django_db
def test_a_form_that_is_too_large_is_refused(
    client: Client, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = client.post(reverse(settings.LOGIN_URL), {"x": "x" * 101})
    assert (response.status_code, "100 bytes" in response.text) == (413, True)


def test_a_body_of_unknown_length_is_refused(client: Client) -> None:
    headers = {"transfer-encoding": "chunked"}
    response = client.generic("POST", "/", headers=headers)
    assert response.status_code == 411
