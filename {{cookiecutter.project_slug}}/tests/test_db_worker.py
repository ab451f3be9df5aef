"""The project's own `db_worker`: no task stays with a worker that is gone, and an outage does not end it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone
from django_tasks_db.management.commands import db_worker as base
from django_tasks_db.models import DBTaskResult
from pytest_django.fixtures import Settings

from apps.operations.management.commands import db_worker
from apps.users.tasks import send_welcome_mail


@pytest.fixture(autouse=True)
def stored(settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


@pytest.mark.django_db
def test_a_task_that_was_left_running_is_run_again(caplog: pytest.LogCaptureFixture) -> None:
    for minutes in (59, 61):
        send_welcome_mail.enqueue(minutes)
        task = DBTaskResult.objects.get(status="READY")
        task.claim("a worker")
        DBTaskResult.objects.filter(pk=task.pk).update(started_at=timezone.now() - timedelta(minutes=minutes))

    for _ in range(2):
        db_worker.bring_back(3600)

    assert [task.args_kwargs["args"] for task in DBTaskResult.objects.ready()] == [[61]]
    assert [task.args_kwargs["args"] for task in DBTaskResult.objects.running()] == [[59]]
    assert caplog.messages == ["1 lost tasks are run again"]


def test_an_outage_ends_neither_the_worker_nor_the_search(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outages = [OperationalError("gone"), None]

    def fail_once(*args: Any, **options: Any) -> None:
        if outage := outages.pop(0):
            raise outage

    monkeypatch.setattr(base.Command, "handle", fail_once)
    monkeypatch.setattr(db_worker, "bring_back_for_ever", lambda lost_after: None)
    monkeypatch.setattr(db_worker, "PAUSE_S", 0)
    call_command("db_worker", "--batch")
    assert caplog.messages == ["the database fails, the worker tries again: OperationalError"]

    outages.append(OperationalError("gone"))
    monkeypatch.undo()
    monkeypatch.setattr(db_worker, "bring_back", fail_once)
    monkeypatch.setattr(db_worker, "sleep", lambda seconds: None)
    with pytest.raises(IndexError):
        db_worker.bring_back_for_ever(1)
    assert caplog.messages[1:] == ["lost tasks cannot be looked for: OperationalError"]
