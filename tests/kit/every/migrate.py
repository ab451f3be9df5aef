"""core/management/commands/migrate.py: a look at the migrations waits for nobody."""

import pytest
from core.management.commands import migrate
from django.core.management import call_command
from django.db import connection


@pytest.mark.django_db(transaction=True)
def test_only_one_works_and_a_look_does_not_wait(monkeypatch, caplog):
    first = connection.copy()
    lock = migrate.lock(first)
    lock.__enter__()
    call_command("migrate", check_unapplied=True, verbosity=0)
    call_command("migrate", plan=True, verbosity=0)
    assert caplog.messages == []
    monkeypatch.setattr(
        migrate, "sleep", lambda seconds: lock.__exit__(None, None, None)
    )
    call_command("migrate", verbosity=0)
    first.close()
    assert caplog.messages == [
        "another process migrates this database; waiting for it to end"
    ]
