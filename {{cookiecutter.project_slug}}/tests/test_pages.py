"""The pages that every site has, and those for what goes wrong."""

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.asserts import assertTemplateUsed

from apps.users.models import User

pytestmark = pytest.mark.django_db

PAGES = ("/", "/robots.txt", "/favicon.ico", "/.well-known/security.txt")


@pytest.mark.parametrize("address", PAGES)
def test_a_page_answers(client: Client, address: str) -> None:
    response = client.get(address, follow=True)
    response.close()
    assert response.status_code == 200


def test_a_page_says_who_is_logged_in_and_logs_them_out(
    admin_client: Client, admin_user: User
) -> None:
    assert str(admin_user) in admin_client.get("/").text
    page = admin_client.post(reverse("logout"), follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert str(admin_user) not in page.text


def test_security_txt_names_a_contact_and_is_valid_for_months(client: Client) -> None:
    """https://www.rfc-editor.org/rfc/rfc9116#section-2.5"""
    headers = {"host": "testserver:8443"}
    text = client.get("/.well-known/security.txt", headers=headers).text
    fields = dict(re.findall(r"^([\w-]+): (.+)$", text, re.MULTILINE))
    assert fields["Contact"]
    assert fields["Canonical"] == "https://testserver/.well-known/security.txt"
    lifetime = datetime.fromisoformat(fields["Expires"]) - timezone.now()
    assert timedelta(days=30) < lifetime < timedelta(days=366)


def test_a_host_that_is_not_allowed_gets_the_page_for_400(client: Client) -> None:
    response = client.get("/", headers={"host": "evil.test"})
    assert response.status_code == 400
    assertTemplateUsed(response, "400.html")


def test_a_form_without_its_csrf_token_gets_a_page_for_403() -> None:
    response = Client(enforce_csrf_checks=True).post(reverse("admin:login"))
    assert response.status_code == 403
    assertTemplateUsed(response, "403_csrf.html")


@pytest.mark.urls("failing_urls")
@pytest.mark.parametrize(
    ("address", "status"), [("/forbidden/", 403), ("/missing/", 404), ("/broken/", 500)]
)
def test_an_error_has_a_page(address: str, status: int) -> None:
    response = Client(raise_request_exception=False).get(address)
    assert response.status_code == status
    assertTemplateUsed(response, f"{status}.html")


@pytest.mark.urls("failing_urls")
def test_the_page_for_500_has_the_request_id_and_its_style() -> None:
    client = Client(raise_request_exception=False)
    response = client.get("/broken/", headers={"x-request-id": "quote-me"})
    assert "quote-me" in response.text
    assert "sold out" not in response.text
    [nonce] = set(re.findall(r'<style nonce="([^"]+)">', response.text))
    assert f"'nonce-{nonce}'" in response.headers["Content-Security-Policy"]
