"""The project's own users, and the admin."""

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.users.models import User
from config.settings import base

pytestmark = pytest.mark.django_db


def test_every_list_and_form_of_the_admin_opens(admin_client: Client) -> None:
    index = admin_client.get(reverse("admin:index"))
    models = [model for app in index.context["app_list"] for model in app["models"]]
    addresses = [model[url] for model in models for url in ("admin_url", "add_url")]
    assert reverse("admin:users_user_add") in addresses
    for address in filter(None, addresses):
        assert admin_client.get(address).status_code == 200, address


def test_a_user_can_be_changed_in_the_admin(
    admin_client: Client, admin_user: User
) -> None:
    address = reverse("admin:users_user_change", args=[admin_user.pk])
    assert admin_client.get(address).status_code == 200


def test_the_admin_is_for_staff(client: Client) -> None:
    client.force_login(User.objects.create_user("ada@shop.test"))
    address = reverse("admin:index")
    response = client.get(address)
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))


def test_staff_who_are_no_superusers_give_nobody_powers(
    client: Client, admin_user: User
) -> None:
    ada = User.objects.create_user("ada@shop.test", is_staff=True)
    eve = User.objects.create_user("eve@shop.test")
    ada.user_permissions.set(Permission.objects.all())
    client.force_login(ada)
    change = reverse("admin:users_user_change", args=[eve.pk])
    group = Group.objects.create(name="Powers")
    form = {"username": "eve", "email": "eve@shop.test", "is_active": "on"}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "12:00"}
    form |= {"is_staff": "on", "is_superuser": "on", "groups": str(group.pk)}
    assert client.post(change, form).status_code == 302
    eve.refresh_from_db()
    assert (eve.is_staff, eve.is_superuser, eve.groups.count()) == (False, False, 0)
    for person in (admin_user, ada):
        password = reverse("admin:auth_user_password_change", args=[person.pk])
        assert client.post(password, {"password1": "x"}).status_code == 404
    assert client.post(reverse("admin:auth_group_add")).status_code == 403


def test_passwords_are_kept_with_argon2(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    assert make_password("correct horse battery").startswith("argon2$")
