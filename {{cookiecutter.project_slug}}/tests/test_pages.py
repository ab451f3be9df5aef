"""The pages that every project has. None of these tests may touch the database, so none of the pages does."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.html import escape
from pytest_django.fixtures import Settings

from config import urls


def test_the_home_page(client: Client) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert f"<h1>{escape(settings.PROJECT_NAME)}</h1>" in response.text
    assert "Next steps" not in response.text


def test_the_home_page_tells_a_developer_what_comes_next(client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    assert "Next steps" in client.get("/").text


@pytest.mark.parametrize(
    ("address", "content_type"),
    [
        ("/robots.txt", "text/plain; charset=utf-8"),
        ("/favicon.ico", "image/x-icon"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8"),
    ],
)
def test_files_that_are_asked_for_by_name(client: Client, address: str, content_type: str) -> None:
    response = client.get(address)
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert response.headers["Cache-Control"] == "public, max-age=86400"
    assert client.head(address).status_code == 200
    assert client.post(address).status_code == 405


def test_robots_may_look_at_everything(client: Client) -> None:
    assert client.get("/robots.txt").text == "User-agent: *\nDisallow:\n"


def test_security_txt(client: Client) -> None:
    """https://www.rfc-editor.org/rfc/rfc9116#section-2.5"""
    lines = client.get("/.well-known/security.txt?token=secret", secure=True).text.splitlines()
    fields = dict(line.split(": ", 1) for line in lines)
    assert fields["Contact"] == f"mailto:{settings.SECURITY_CONTACT}"
    assert fields["Canonical"] == "https://testserver/.well-known/security.txt"
    lifetime = datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC)
    assert timedelta(days=30) < lifetime < timedelta(days=365)


def test_a_host_that_is_not_ours(client: Client) -> None:
    response = client.get("/", headers={"host": "evil.test"})
    assert (response.status_code, "Error 400" in response.text) == (400, True)
    assert "evil.test" not in response.text


@pytest.mark.urls(__name__)
def test_what_is_forbidden(client: Client) -> None:
    response = client.get("/forbidden/")
    assert (response.status_code, "Error 403" in response.text) == (403, True)


def test_a_form_without_its_token() -> None:
    response = Client(enforce_csrf_checks=True).post("/")
    assert (response.status_code, "Error 403" in response.text) == (403, True)
    assert "This form could not be sent" in response.text


def test_what_is_not_there(client: Client) -> None:
    response = client.get("/missing/")
    assert (response.status_code, "Error 404" in response.text) == (404, True)


@pytest.mark.urls(__name__)
def test_what_broke() -> None:
    response = Client(raise_request_exception=False).get("/broken/", headers={"x-request-id": "quote-me"})
    assert (response.status_code, "Error 500" in response.text) == (500, True)
    assert "<code>quote-me</code>" in response.text
    [nonce] = re.findall(r'<style nonce="([^"]+)">', response.text)
    assert f"'nonce-{nonce}'" in response.headers["Content-Security-Policy"]
    assert "sold out" not in response.text


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("sold out")


handler500 = urls.handler500
urlpatterns = [*urls.urlpatterns, path("forbidden/", forbidden), path("broken/", broken)]
