"""Who is believed, what is refused, and what a browser is told."""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import reverse
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override, csp_report_only_override
from pytest_django.fixtures import Settings

from apps.security import middleware
from apps.security.content_types import readable
from apps.users.models import User
from config.settings import base

if TYPE_CHECKING:
    from conftest import Send

PROXY = "10.0.0.1"
STRANGER = "203.0.113.9"
ADA = "ada@shop.test"
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def proxies(settings: Settings) -> Iterator[None]:
    forget_proxies()
    settings.FORWARDED_ALLOW_IPS = ["10.0.0.0/8", "fc00::/7"]
    yield
    forget_proxies()


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client_address"),
    [
        pytest.param(PROXY, "198.51.100.7", "198.51.100.7", id="one proxy"),
        pytest.param(PROXY, "198.51.100.7, 10.0.0.2", "198.51.100.7", id="two proxies"),
        pytest.param("fc00::1", "2001:db8::7", "2001:db8::7", id="IPv6"),
        pytest.param(PROXY, "1.2.3.4, 198.51.100.7", "198.51.100.7", id="the client made up an entry"),
        pytest.param(PROXY, "nonsense, 10.0.0.2", "10.0.0.2", id="the client sent nonsense"),
        pytest.param(PROXY, "10.0.0.3, 10.0.0.2", "10.0.0.3", id="a client in the private network"),
        pytest.param("", "198.51.100.7", "198.51.100.7", id="a proxy on a Unix socket"),
        pytest.param(STRANGER, "198.51.100.7", STRANGER, id="no proxy of ours"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7", id="an IPv4 proxy on an IPv6 socket"),
        pytest.param("unknown", "198.51.100.7", "unknown", id="no address"),
        pytest.param(PROXY, None, PROXY, id="no header"),
    ],
)
def test_the_address_of_the_client(client: Client, peer: str, forwarded_for: str | None, client_address: str) -> None:
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
    response = client.get("/robots.txt", headers=headers, REMOTE_ADDR=peer)
    assert response.wsgi_request.META["REMOTE_ADDR"] == client_address


def test_every_peer_can_be_believed(client: Client, settings: Settings) -> None:
    settings.FORWARDED_ALLOW_IPS = ["0.0.0.0/0", "::/0"]
    response = client.get("/robots.txt", headers={"x-forwarded-for": f"198.51.100.7, {PROXY}"}, REMOTE_ADDR=STRANGER)
    assert response.wsgi_request.META["REMOTE_ADDR"] == "198.51.100.7"


def test_what_strangers_send_at_any_length_is_not_remembered(client: Client) -> None:
    sent = f"{'x' * 8000}, 198.51.100.7"
    response = client.get("/robots.txt", headers={"x-forwarded-for": sent}, REMOTE_ADDR=PROXY)
    assert response.wsgi_request.META["REMOTE_ADDR"] == "198.51.100.7"
    assert middleware.client_address.cache_info().currsize == 0


def test_only_a_proxy_of_ours_says_that_a_request_came_over_https(client: Client, settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "evil.test", "forwarded": "for=1.2.3.4"}
    believed = client.get("/robots.txt", headers=headers, REMOTE_ADDR=PROXY).wsgi_request
    dropped = client.get("/robots.txt", headers=headers, REMOTE_ADDR=STRANGER).wsgi_request
    assert (believed.is_secure(), dropped.is_secure()) == (True, False)
    assert not set(middleware.FORWARDED_HEADERS) & set(dropped.META)


def test_the_address_of_the_client_on_the_asynchronous_side(settings: Settings) -> None:
    settings.FORWARDED_ALLOW_IPS = ["127.0.0.1"]
    response: Any = async_to_sync(AsyncClient().get)("/robots.txt", headers={"x-forwarded-for": "198.51.100.7"})
    assert response.asgi_request.META["REMOTE_ADDR"] == "198.51.100.7"


def test_a_body_that_is_too_large_is_refused_unread(send: "Send", settings: Settings) -> None:
    settings.REQUEST_MAX_BODY_SIZE = 100
    response = send("POST", "/robots.txt", headers={"content-length": "101"})
    assert response.status_code == 413
    assert response.headers["Connection"] == "close"
    assert response.headers["X-Request-ID"]


@pytest.mark.parametrize("length", ["100", "", "-1"])
def test_any_other_body_reaches_the_view(send: "Send", settings: Settings, length: str) -> None:
    settings.REQUEST_MAX_BODY_SIZE = 100
    response = send("POST", "/robots.txt", headers={"content-length": length})
    assert response.status_code == 405


def test_a_cookie_that_cannot_be_a_session_is_not_looked_up(client: Client) -> None:
    client.cookies["sessionid"] = "\0" * 8
    response = client.get(reverse("admin:index"))
    assert response.status_code == 302
    assert response.wsgi_request.session.session_key is None


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data; boundary=b", "form;;;="])
def test_a_content_type_is_kept(content_type: str) -> None:
    assert readable(content_type) == content_type


def test_a_content_type_that_django_cannot_read_is_not_known() -> None:
    assert readable("text/plain; charset*=evil''%ff") == "application/octet-stream"


def test_the_headers_of_a_page(client: Client) -> None:
    response = client.get(reverse("admin:login"))
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in response.headers["Permissions-Policy"]


def test_scripts_and_styles_run_by_nonce_only(send: "Send") -> None:
    response = send("GET", reverse("admin:login"))
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    [nonce] = re.findall(r"'nonce-([^']+)'", policy["script-src"])
    assert f'nonce="{nonce}"' in response.text
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert nonce not in send("GET", reverse("admin:login")).text


def test_a_view_may_have_a_policy_of_its_own(rf: RequestFactory, settings: Settings) -> None:
    def policies(view: Callable[[HttpRequest], HttpResponse]) -> tuple[str | None, str | None]:
        response = middleware.content_security_policy_middleware(view)(rf.get("/"))
        headers = cast("HttpResponse", response).headers
        return headers.get(CSP.HEADER_ENFORCE), headers.get(CSP.HEADER_REPORT_ONLY)

    settings.SECURE_CSP, settings.SECURE_CSP_REPORT_ONLY = {"default-src": [CSP.NONE]}, {"img-src": [CSP.SELF]}
    assert policies(lambda request: HttpResponse()) == ("default-src 'none'", "img-src 'self'")
    view = csp_override({"default-src": [CSP.SELF]})(lambda request: HttpResponse())
    assert policies(view) == ("default-src 'self'", "img-src 'self'")
    view = csp_report_only_override({})(lambda request: HttpResponse())
    assert policies(view) == ("default-src 'none'", None)
    view = csp_override({})(lambda request: HttpResponse())
    assert policies(view) == (None, "img-src 'self'")
    sandbox = {CSP.HEADER_ENFORCE: "sandbox"}
    assert policies(lambda request: HttpResponse(headers=sandbox)) == ("sandbox", "img-src 'self'")


@pytest.mark.django_db
def test_guessing_a_password_is_stopped(client: Client) -> None:
    User.objects.create_superuser(ADA, password=PASSWORD)
    assert [log_in(client, "a guess") for _ in range(5)] == [200, 200, 200, 200, 429]
    assert log_in(client, PASSWORD) == 429


@pytest.mark.django_db
def test_guessing_from_elsewhere_locks_nobody_out(client: Client) -> None:
    User.objects.create_superuser(ADA, password=PASSWORD)
    for _ in range(5):
        status = log_in(client, "a guess", address="198.51.100.7")
    assert status == 429
    assert log_in(client, PASSWORD, address="198.51.100.8") == 302


@pytest.mark.django_db
def test_trying_many_users_from_one_address_is_stopped(client: Client) -> None:
    User.objects.create_superuser(ADA, password=PASSWORD)
    attempts = [log_in(client, "a guess", username=f"user-{number}") for number in range(26)]
    assert attempts == [200] * 24 + [429] * 2
    assert log_in(client, PASSWORD) == 429
    assert log_in(client, PASSWORD, address="198.51.100.8") == 302


@pytest.mark.django_db
def test_a_network_of_ipv6_counts_as_one_address(client: Client) -> None:
    User.objects.create_superuser(ADA, password=PASSWORD)
    attempts = [log_in(client, "a guess", address=f"2001:db8::{number}") for number in range(1, 6)]
    assert attempts == [200] * 4 + [429]
    assert log_in(client, PASSWORD, address="2001:db8:0:1::1") == 302


@pytest.mark.django_db
def test_logging_in_forgets_the_wrong_passwords_before(client: Client) -> None:
    User.objects.create_superuser(ADA, password=PASSWORD)
    attempts = ["a guess"] * 4 + [PASSWORD] + ["a guess"] * 4
    assert 429 not in [log_in(client, password) for password in attempts]


def test_a_password_has_twelve_characters_or_more() -> None:
    validate_password("quay-rivet-9")
    with pytest.raises(ValidationError, match="at least 12 characters"):
        validate_password("quay-rivet9")


def test_passwords_are_kept_with_argon2(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    assert make_password(PASSWORD).startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def log_in(client: Client, password: str, address: str = "198.51.100.7", username: str = ADA) -> int:
    """The status of an attempt to log in, which arrives through a proxy of ours."""
    response = client.post(
        reverse("admin:login"),
        {"username": username, "password": password},
        headers={"x-forwarded-for": address},
        REMOTE_ADDR=PROXY,
    )
    return response.status_code


def forget_proxies() -> None:
    middleware.trusted_networks.cache_clear()
    middleware.is_trusted.cache_clear()
    middleware.client_address.cache_clear()
