"""Migrations: four instances migrate an empty database at the same moment.

Each migration runs once, and all four exit with status 0. A migration that fails ends
with Django's own error and leaves no lock.
"""

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.bakery import clean_environment
from tests.drill import every_interface_and_server, only_wsgi
from tests.services import Process, wait_until

STATEMENT_TIMEOUT_S = 3
IMPATIENT = {"DATABASE_STATEMENT_TIMEOUT": str(STATEMENT_TIMEOUT_S)}
# manage.py migrate, with two gates: one before the command, until all four have loaded
# Django, and one at the first migration, until the other three wait.
MIGRATE = """
import pathlib, sys, time
import django
django.setup()
from django.apps import apps
from django.core.management import call_command, execute_from_command_line
from django.db.models.signals import pre_migrate
call_command("check")

def stop_at(gate, word):
    print(word, flush=True)
    while not pathlib.Path(gate).exists():
        time.sleep(0.01)

working = lambda **kwargs: stop_at(sys.argv[2], "at work")
pre_migrate.connect(working, sender=apps.get_app_config("users"), weak=False)
stop_at(sys.argv[1], "at the gate")
execute_from_command_line(["manage.py", "migrate"])
"""
WAITING = "another process migrates this database"


@every_interface_and_server
def test_four_migrate_at_the_same_moment(project, env, database, tmp_path, report):
    empty = {"DATABASE_URL": database.create_database()}
    report(drill(project, env | IMPATIENT | empty, tmp_path))


@every_interface_and_server
def test_a_migration_that_fails_ends_with_an_error_and_leaves_no_lock(
    project, env, database
):
    url = database.create_database()
    env = env | {"DATABASE_URL": url}
    name = url.rpartition("/")[2]
    database.query("CREATE TABLE django_session (in_the_way integer)", name)

    failed = project.manage("migrate", env=env, check=False)

    assert failed.returncode == 1
    assert "Applying sessions.0001_initial..." in failed.stdout
    exists = r"\w+Error: .*django_session.* already exists"
    assert re.search(exists, failed.stderr), failed.stderr

    database.query("DROP TABLE django_session", name)
    assert WAITING not in project.manage("migrate", env=env).stdout


@only_wsgi
def test_instances_that_all_migrate_are_noticed(
    project, env, database, tmp_path, break_promise
):
    broken = break_promise(
        "core/management/commands/migrate.py",
        'if only_looks or connection.vendor == "sqlite":',
        "if True:",
    )
    with pytest.raises(AssertionError, match="ended with 1"):
        drill(broken, env | {"DATABASE_URL": database.create_database()}, tmp_path)


def drill(project, env: dict[str, str], folder: Path) -> str:
    start, work = folder / "start", folder / "work"
    python = project.path / ".venv" / "bin" / "python"
    script = [python, "-c", MIGRATE, start, work]
    command = ["env", f"--chdir={project.path}", *script]
    environment = clean_environment() | env
    instances = [
        Process(command, folder, name=f"instance-{number}", env=environment)
        for number in range(1, 5)
    ]
    for instance in instances:
        wait_for_line(instance, "at the gate")
    start.touch()
    for instance in instances:
        wait_for_line(instance, "at work", WAITING)
    # The database would stop a waiting statement in this time.
    deadline = time.monotonic() + 1.2 * STATEMENT_TIMEOUT_S
    wait_until(lambda: time.monotonic() > deadline, 60, "the statement timeout")
    work.touch()
    for instance in instances:
        status = instance.wait(60)
        instance.stop()
        assert status == 0, f"{instance.name} ended with {status}:\n{instance.log}"
    log = "".join(instance.log for instance in instances)
    applied = Counter(re.findall(r"Applying (\S+)\.\.\. OK", log))
    assert len(applied) > 20
    assert set(applied.values()) == {1}
    assert sum("Applying" in instance.log for instance in instances) == 1
    waited = sum(WAITING in instance.log for instance in instances)
    assert waited == 3, f"{waited} waited"
    return f"{len(applied)} migrations once each, status 0 four times, {waited} waited"


def wait_for_line(process: Process, *texts: str) -> None:
    """Wait until one of the texts is in the log of a process."""
    process.wait_for(
        lambda: any(text in process.log for text in texts), 60, " or ".join(texts)
    )
