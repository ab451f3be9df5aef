"""core/management/commands/migrate.py: `--check` and `--plan` do not wait."""

import pytest
from core.management.commands import migrate
from django.core.management import call_command
from django.db import connection


@pytest.mark.django_db(transaction=True)
def test_a_second_migrate_waits_but_check_and_plan_do_not(monkeypatch, caplog):
    first = connection.copy()
    lock = migrate.lock(first)
    lock.__enter__()
    call_command("migrate", check_unapplied=True, verbosity=0)
    call_command("migrate", plan=True, verbosity=0)
    assert caplog.messages == []

    def release(seconds):
        lock.__exit__(None, None, None)

    monkeypatch.setattr(migrate, "sleep", release)
    call_command("migrate", verbosity=0)
    first.close()
    waits = "another process migrates this database; waiting for it to end"
    assert caplog.messages == [waits]
