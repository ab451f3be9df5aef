"""Feature flags: who gets the page and the part of a page that they switch."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from waffle.models import Flag

from apps.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PREVIEW = reverse("preview")
DETAILS = 'id="details"'


def test_a_flag_that_nobody_made_is_off(client: Client) -> None:
    assert client.get(PREVIEW).status_code == 404


# A change counts when its transaction is committed.
@pytest.mark.django_db(transaction=True)
def test_a_flag_opens_a_page_and_another_one_a_part_of_it(client: Client) -> None:
    Flag.objects.create(name="preview", everyone=True)
    assert DETAILS not in client.get(PREVIEW).text
    Flag.objects.create(name="preview_details", everyone=True)
    assert DETAILS in client.get(PREVIEW).text


def test_a_flag_may_be_for_staff_alone(client: Client, admin_client: Client) -> None:
    Flag.objects.create(name="preview", staff=True)
    assert admin_client.get(PREVIEW).status_code == 200
    client.force_login(UserFactory())
    assert client.get(PREVIEW).status_code == 404


def test_a_person_stays_inside_or_outside_of_a_share(client: Client) -> None:
    Flag.objects.create(name="preview", percent="50")
    first = client.get(PREVIEW, secure=True)
    assert "dwf_preview" in first.cookies
    for _ in range(10):
        assert client.get(PREVIEW, secure=True).status_code == first.status_code


def test_flags_are_read_once(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("preview", "preview_details"):
        Flag.objects.create(name=name, everyone=True)
    client.get(PREVIEW)
    with django_assert_num_queries(0):
        client.get(PREVIEW)
