"""Feature flags: who gets the page and the part of a page that they switch."""

import pytest
from django.contrib.auth.models import Permission
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


def test_a_visitor_turns_no_flag_on(client: Client) -> None:
    Flag.objects.create(name="preview")
    query = {"preview": "1", "dwft_preview": "1"}
    assert client.get(PREVIEW, query).status_code == 404


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


def test_staff_need_the_permission_to_switch_a_flag(client: Client) -> None:
    flag = Flag.objects.create(name="preview", everyone=False)
    address = reverse("admin:waffle_flag_changelist")
    form = {"action": "enable_for_all", "_selected_action": str(flag.pk)}
    ada = UserFactory(is_staff=True)
    client.force_login(ada)
    assert client.post(address, form).status_code == 403
    ada.user_permissions.add(Permission.objects.get(codename="change_flag"))
    assert client.post(address, form).status_code == 302
    flag.refresh_from_db()
    assert flag.everyone


@pytest.mark.usefixtures("production")
def test_a_person_stays_inside_or_outside_of_a_share(client: Client) -> None:
    Flag.objects.create(name="preview", percent="50")
    first = client.get(PREVIEW, secure=True)
    [(name, cookie)] = first.cookies.items()
    assert (name, cookie["secure"]) == ("__Host-flag-preview", True)
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
