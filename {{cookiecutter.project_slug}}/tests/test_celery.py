"""Celery is wired so that a broker that is away costs a request seconds, and a worker's lines have the request's id."""

import json
import logging
from collections import deque
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from billiard.pool import TERMINATE
from celery import signals
from celery.app.task import Context
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.observability.request_ids import begin_request, current_request_id, end_request
from apps.operations.tasks import clear_sessions
from apps.users.models import User
from config.celery import app
from config.celery_pool import Processes

if TYPE_CHECKING:
    from conftest import LoadModule, RunPython


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_costs_no_user(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(app.conf, "task_always_eager", False)
    User.objects.create(email="ada@shop.test")
    assert User.objects.count() == 1
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "send_welcome_mail" in record.getMessage()
    assert "Error 111 connecting to 127.0.0.1:9" in record.getMessage()


def test_a_task_that_a_process_has_is_not_forgotten_when_the_worker_stops() -> None:
    def job(*, alive: bool) -> SimpleNamespace:
        return SimpleNamespace(_accepted=False, _write_to=SimpleNamespace(_is_alive=lambda: alive))

    running, lost, put_back = job(alive=True), job(alive=False), job(alive=True)
    unsent = SimpleNamespace(_accepted=False, _write_to=None)
    pool: Any = Processes.__new__(Processes)
    pool._state = TERMINATE
    pool._cache = dict(enumerate([running, lost, put_back, unsent]))
    pool.outbound_buffer = deque([put_back, unsent])
    pool.flush()
    assert [job._accepted for job in pool._cache.values()] == [True, False, False, False]


def test_the_request_id_travels_with_the_task() -> None:
    headers: dict[str, Any] = {}
    begin_request("a-request")
    signals.before_task_publish.send("a task", headers=headers)
    end_request()
    task = SimpleNamespace(request=Context(headers, is_eager=False))
    signals.task_prerun.send(None, task=task)
    assert current_request_id() == "a-request"
    signals.task_postrun.send(None, task=task)
    assert current_request_id() is None


@pytest.mark.django_db
def test_sessions_that_have_expired_are_cleared_every_day() -> None:
    for days in (-1, 1):
        Session.objects.create(session_key=f"{days}", expire_date=timezone.now() + timedelta(days=days))
    clear_sessions.delay()
    assert [session.session_key for session in Session.objects.all()] == ["1"]
    assert clear_sessions.name in {entry["task"] for entry in app.conf.beat_schedule.values()}


def test_every_scheduled_task_exists() -> None:
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= app.tasks.keys()


def test_the_log_is_the_projects_own() -> None:
    assert signals.setup_logging.send(None)
    assert app.conf.worker_hijack_root_logger is False


def test_nothing_but_json_is_believed() -> None:
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"


@pytest.mark.parametrize(
    ("scheme", "verification"),
    [
        ("redis", {}),
        ("rediss", {"ssl_cert_reqs": 2, "ssl_check_hostname": True}),
        ("amqp", {}),
        ("amqps", {"cert_reqs": 2, "server_hostname": None}),
    ],
)
def test_the_brokers_certificate_is_verified(
    run_python: "RunPython", production_environ: dict[str, str], scheme: str, verification: dict[str, Any]
) -> None:
    program = (
        "import django, json; django.setup(); from config.celery import app; connection = app.connection_for_write();"
        "print(json.dumps(connection.ssl or {}))"
    )
    environ = production_environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "CELERY_BROKER_URL": f"{scheme}://broker.test",
    }
    result = run_python("-W", "error", "-c", program, environ=environ)
    assert json.loads(result.stdout) == verification


@pytest.mark.parametrize("url", ["memory://", "amqp://", "broker.test"])
def test_a_broker_that_cannot_be_is_refused(
    load_module: "LoadModule", production_environ: dict[str, str], url: str
) -> None:
    with pytest.raises(SystemExit, match="CELERY_BROKER_URL must be a URL"):
        load_module("config.settings.production", production_environ | {"CELERY_BROKER_URL": url})


# %if cookiecutter.cache == "redis"
def test_the_cache_is_the_broker_unless_told_otherwise(
    load_module: "LoadModule", production_environ: dict[str, str]
) -> None:
    settings = load_module("config.settings.production", production_environ)
    assert production_environ["CACHE_URL"] == settings.CELERY_BROKER_URL


# %endif
def test_development_runs_tasks_at_once_unless_there_is_a_broker(load_module: "LoadModule") -> None:
    def eager(**environ: str) -> bool:
        settings = load_module("config.settings.development", {"DJANGO_SECRET_KEY": "", "DATABASE_URL": ""} | environ)
        answer: bool = settings.CELERY_TASK_ALWAYS_EAGER
        return answer

    assert eager(CELERY_BROKER_URL="")
    assert not eager(CELERY_BROKER_URL="redis://127.0.0.1:6379/1")
