"""The project's own user, and its pages in the admin."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from apps.users.models import User

pytestmark = pytest.mark.django_db


def test_the_user_is_the_projects_own() -> None:
    assert get_user_model() is User
    assert User.objects.create_user("ada@shop.test", password="correct horse battery").has_usable_password()


def test_users_in_the_admin(admin_client: Client, admin_user: User) -> None:
    for page in (
        reverse("admin:index"),
        reverse("admin:users_user_changelist"),
        reverse("admin:users_user_add"),
        reverse("admin:users_user_change", args=[admin_user.pk]),
    ):
        assert admin_client.get(page).status_code == 200


def test_the_admin_is_for_staff(client: Client) -> None:
    client.force_login(User.objects.create_user("ada@shop.test"))
    response = client.get(reverse("admin:users_user_changelist"))
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))
