"""Tasks wait in the database for their worker, which logs under the id of the request that enqueued them."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.core import mail
from django.db import DatabaseError
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult
from pytest_django.fixtures import Settings

from apps.observability.request_ids import begin_request, current_request_id, end_request
from apps.users.models import User
from apps.users.tasks import send_welcome_mail

if TYPE_CHECKING:
    from conftest import LoadModule


@pytest.fixture(autouse=True)
def stored(settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str | None]]]:
    """The lines of the tasks' loggers as they are written, each with the request id of that moment."""
    found: list[tuple[str, str | None]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((record.getMessage().rpartition("state=")[2], current_request_id()))

    handler = Keep()
    loggers = [logging.getLogger(name) for name in ("django.tasks", "apps.users.tasks")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield found
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


@pytest.mark.django_db(transaction=True)  # the worker closes old connections
def test_a_task_waits_for_its_worker() -> None:
    User.objects.create(email="ada@shop.test")
    assert mail.outbox == []
    run_worker()
    assert len(mail.outbox) == 1
    assert DBTaskResult.objects.get().status == "SUCCESSFUL"


@pytest.mark.django_db(transaction=True)  # the worker closes old connections
def test_the_lines_of_a_task_have_the_id_of_its_request(lines: list[tuple[str, str | None]]) -> None:
    begin_request("a-request")
    user = User.objects.create(email="ada@shop.test")
    end_request()
    send_welcome_mail.enqueue(user.pk)
    run_worker()
    sent = f"welcome mail sent to user {user.pk}"
    assert lines == [
        (text, request_id) for request_id in ("a-request", None) for text in ("RUNNING", sent, "SUCCESSFUL")
    ]
    assert current_request_id() is None


@pytest.mark.django_db(transaction=True)
def test_a_task_that_cannot_be_kept_costs_no_user(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**kwargs: object) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(DBTaskResult.objects, "create", refuse)
    User.objects.create(email="ada@shop.test")
    assert User.objects.count() == 1
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "send_welcome_mail" in record.getMessage()


def test_development_runs_tasks_at_once_unless_told_otherwise(load_module: "LoadModule") -> None:
    def backend(**environ: str) -> str:
        settings = load_module("config.settings.development", {"DJANGO_SECRET_KEY": "", "DATABASE_URL": ""} | environ)
        name: str = settings.TASKS["default"]["BACKEND"]
        return name.rpartition(".")[2]

    assert backend(TASKS_IMMEDIATE="") == "ImmediateBackend"
    assert backend(TASKS_IMMEDIATE="false") == "DatabaseBackend"


def run_worker() -> None:
    """Run what waits, to the end, without the signal handlers that the command installs."""
    Worker(
        queue_names=["default"],
        excluded_queue_names=[],
        interval=0,
        batch=True,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id="tests",
    ).run()
