"""The project as an ASGI server calls it."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import AsyncClient
from django.urls import reverse
from django.utils.module_loading import import_string


@pytest.mark.parametrize("name", settings.MIDDLEWARE)
def test_no_middleware_is_for_synchronous_servers_only(name: str) -> None:
    """Django would run it in a thread, which fails when a client leaves early."""
    assert getattr(import_string(name), "async_capable", False)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["home", settings.LOGIN_URL])
def test_a_page_answers_on_the_event_loop(name: str) -> None:
    response: Any = async_to_sync(AsyncClient().get)(reverse(name))
    assert response.status_code == 200
    assert response.headers["X-Request-ID"]
    assert response.headers["Content-Security-Policy"]
