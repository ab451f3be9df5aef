"""Liveness, readiness and draining, as a probe sees them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from apps.health import readiness

if TYPE_CHECKING:
    from conftest import Send

runs: list[float] = []
release = threading.Event()


@pytest.fixture(autouse=True)
def fresh_checks(settings: Settings, tmp_path: Path) -> Iterator[None]:
    """No check has run yet, and the instance does not drain."""
    settings.DRAIN_FILE = tmp_path / "draining"
    runs.clear()
    release.clear()
    readiness.find_checks.cache_clear()
    yield
    release.set()
    readiness.find_checks.cache_clear()


def test_liveness_touches_nothing_else(send: "Send") -> None:
    response = send("GET", "/health/live/", headers={"x-request-id": "a-probe"})
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["X-Request-ID"] == "a-probe"
    assert readiness.find_checks.cache_info().currsize == 0


@pytest.mark.django_db
def test_readiness_names_each_check(send: "Send") -> None:
    response = send("GET", "/health/ready/")
    assert response.json() == {"status": "ok", "checks": {"database": "ok", "cache": "ok"}}
    assert response.status_code == 200


def test_a_failing_check_makes_the_instance_not_ready_and_fills_no_log(
    send: "Send", settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.READINESS_CHECKS = {"database": f"{__name__}.fail", "cache": f"{__name__}.count"}
    response = send("GET", "/health/ready/")
    assert response.json() == {"status": "unavailable", "checks": {"database": "failing", "cache": "ok"}}
    assert response.status_code == 503
    assert not caplog.records


def test_a_check_that_does_not_answer_is_not_waited_for(
    settings: Settings, send: "Send", monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.READINESS_CHECKS = {"database": f"{__name__}.hang", "cache": f"{__name__}.hang_too"}
    monkeypatch.setattr(readiness, "DEADLINE_S", 0.1)
    response = send("GET", "/health/ready/")
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "failing", "cache": "failing"}


def test_a_flood_of_probes_costs_one_run_a_second(client: Client, settings: Settings) -> None:
    settings.READINESS_CHECKS = {"database": f"{__name__}.count", "cache": f"{__name__}.count"}
    began = monotonic()
    for _ in range(200):
        assert client.get("/health/ready/").status_code == 200
    assert len(runs) <= 1 + (monotonic() - began)


def test_an_old_answer_is_not_repeated(client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.READINESS_CHECKS = {"database": f"{__name__}.count"}
    monkeypatch.setattr(readiness, "LIFETIME_S", 0.0)
    assert client.get("/health/ready/").status_code == 200
    so_far = len(runs)
    assert client.get("/health/ready/").status_code == 200
    assert len(runs) > so_far


def test_a_draining_instance_is_not_ready_but_alive(send: "Send", settings: Settings, tmp_path: Path) -> None:
    settings.READINESS_CHECKS = {"database": f"{__name__}.count"}
    (tmp_path / "draining").touch()
    ready = send("GET", "/health/ready/")
    assert ready.json() == {"status": "unavailable", "checks": {"database": "ok", "drain": "failing"}}
    assert ready.status_code == 503
    assert send("GET", "/health/live/").status_code == 200


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/"])
def test_a_probe_may_name_any_host_over_plain_http(client: Client, settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.READINESS_CHECKS = {"database": f"{__name__}.count"}
    response = client.get(path, headers={"host": "10.0.0.7:8000"})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/"])
def test_what_comes_with_a_body_is_no_probe(send: "Send", path: str) -> None:
    assert send("POST", path).status_code == 404


def test_probes_do_not_appear_in_the_access_log(send: "Send", caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    send("GET", "/health/live/")
    assert caplog.records == []
    send("GET", "/robots.txt")
    assert [record.name for record in caplog.records] == ["access"]


def fail() -> None:
    raise ConnectionError("a detail that no probe may see")


def count() -> None:
    runs.append(monotonic())


def hang() -> None:
    release.wait()


def hang_too() -> None:
    release.wait()
