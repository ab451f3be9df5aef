"""core/health.py: checks that hang, many probes, and one line for each change."""

import threading

import pytest
from core import health

ready = "/health/ready/"
runs = []


@pytest.fixture(autouse=True)
def fresh(monkeypatch, settings, tmp_path):
    settings.DRAIN_FILE = tmp_path / "draining"
    monkeypatch.setattr(health, "told", {})
    watch(monkeypatch, database=count)
    runs.clear()


def test_a_check_that_hangs_times_out(client, monkeypatch):
    release = threading.Event()
    watch(monkeypatch, database=release.wait)
    monkeypatch.setattr(health, "DEADLINE_S", 0.1)
    response = client.get(ready)
    release.set()
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "failing"}


def test_a_flood_of_probes_costs_one_run(client, monkeypatch):
    monkeypatch.setattr(health, "LIFETIME_S", 3600.0)
    assert {client.get(ready).status_code for _ in range(50)} == {200}
    assert len(runs) == 1


def test_an_old_answer_is_not_repeated(client, monkeypatch):
    monkeypatch.setattr(health, "LIFETIME_S", 0.0)
    for _ in range(2):
        assert client.get(ready).status_code == 200
    assert len(runs) == 2


def test_each_change_is_one_line(client, settings, caplog):
    caplog.set_level("INFO", "core.health")
    for drains in (False, False, True, True, False):
        if drains:
            settings.DRAIN_FILE.touch()
        else:
            settings.DRAIN_FILE.unlink(missing_ok=True)
        client.get(ready)
    told = [f"readiness is {status}" for status in ("ok", "unavailable", "ok")]
    lines = [line for name, _, line in caplog.record_tuples if name == "core.health"]
    assert lines == told


def test_a_failing_check_of_the_owner_makes_the_instance_unready(client, monkeypatch):
    watch(monkeypatch, database=count, search=fail)
    response = client.get(ready)
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "ok", "search": "failing"}
    assert "detail" not in response.text


def watch(monkeypatch, **functions):
    checks = {name: health.Check(function) for name, function in functions.items()}
    monkeypatch.setattr(health, "CHECKS", checks)


def count():
    runs.append(1)


def fail():
    raise ConnectionError("a detail that no probe may see")
