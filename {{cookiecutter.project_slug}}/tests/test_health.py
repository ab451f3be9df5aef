"""Liveness, readiness and drain, as a load balancer or an orchestrator sees them."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from core import health

CHECKS = {
    "database": health.Check(health.check_database),
    "cache": health.Check(health.check_cache),
}


@pytest.fixture(autouse=True)
def new_checks(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    """Repeat no answer of another test; the instance does not drain."""
    monkeypatch.setattr(health, "LIFETIME_S", 0.0)
    monkeypatch.setattr(health, "CHECKS", CHECKS)
    settings.DRAIN_FILE = tmp_path / "draining"


@pytest.mark.django_db
def test_readiness_names_each_check(client: Client) -> None:
    response = client.get("/health/ready/")
    assert response.status_code == 200
    checks = {"database": "ok", "cache": "ok"}
    assert response.json() == {"status": "ok", "checks": checks}


def test_readiness_is_503_while_the_database_is_down(client: Client) -> None:
    """A test without the mark ``django_db`` has no database."""
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "failing", "cache": "ok"}
    assert client.get("/health/live/").status_code == 200


@pytest.mark.django_db
def test_readiness_tells_of_a_cache_that_is_down_and_stays_200(
    client: Client, settings: Settings
) -> None:
    dummy = "django.core.cache.backends.dummy.DummyCache"
    settings.CACHES = {"default": {"BACKEND": dummy}}
    response = client.get("/health/ready/")
    assert response.status_code == 200
    assert response.json()["checks"] == {"database": "ok", "cache": "failing"}


@pytest.mark.django_db
def test_an_instance_that_drains_is_not_ready_but_alive(
    client: Client, settings: Settings
) -> None:
    settings.DRAIN_FILE.touch()
    response = client.get("/health/ready/")
    assert response.status_code == 503
    assert response.json()["checks"]["drain"] == "failing"
    assert client.get("/health/live/").status_code == 200


@pytest.mark.usefixtures("production")
def test_a_probe_may_name_any_host_over_plain_http(client: Client) -> None:
    response = client.get("/health/live/", headers={"host": "10.0.0.7:8000"})
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"
