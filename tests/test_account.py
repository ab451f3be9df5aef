"""Accounts named by e-mail address: one account for all spellings, on each database."""

import json
import os
import pty
import re
import select
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress

import pytest

from tests.bakery import (
    CHOICES,
    Project,
    clean_environment,
    production_environment,
    run,
)
from tests.services import Process
from tests.serving import Answer, serve

ADDRESS = "ada@shop.test"
OTHERS = ["ADA@SHOP.TEST", "Ada@Shop.Test", "aDa@shop.test", " ada@SHOP.test "]
SPELLINGS = [ADDRESS, *OTHERS]
PASSWORD = "correct horse battery"
PROJECTS = [
    pytest.param(
        {"login": "email", "database": database},
        id=database,
        marks=pytest.mark.xdist_group(f"email {database}"),
    )
    for database in CHOICES["database"]
]
every_database = pytest.mark.parametrize(
    "project", PROJECTS, indirect=True, scope="module"
)

RACE = """
import sys
from django.db import IntegrityError
from apps.users.models import User
try:
    User.objects.create_user(sys.argv[1])
    print("made")
except IntegrityError:
    print("refused")
"""
LIST = """
from apps.users.models import User
print(*User.objects.order_by("email").values_list("email", flat=True))
"""
BY_HAND = """
import sys
from django.db import IntegrityError, connection
from apps.users.models import User
bob = User.objects.create_user("bob@shop.test")
update = "UPDATE users_user SET email = %s WHERE id = %s"
for spelling in sys.argv[1:]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(update, [spelling, bob.pk])
        print("stored")
    except IntegrityError:
        print("refused")
bob.delete()
"""


@every_database
def test_createsuperuser_takes_the_address_from_the_environment(project, env):
    named = env | {
        "DJANGO_SUPERUSER_EMAIL": SPELLINGS[1],
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    create = ("createsuperuser", "--noinput")
    project.manage(*create, env=named)

    other = named | {"DJANGO_SUPERUSER_EMAIL": SPELLINGS[2]}
    again = project.manage(*create, env=other, check=False)

    assert "That email address is already taken" in again.stderr
    assert list_addresses(project, env) == [ADDRESS]


@every_database
def test_createsuperuser_asks_for_the_address_on_a_terminal(project, env):
    conversation = [
        ("Email address: ", "nonsense"),
        ("Email address: ", "Grace@Shop.Test"),
        ("Password: ", PASSWORD),
        ("Password (again): ", PASSWORD),
    ]

    python = project.path / ".venv" / "bin" / "python"
    command = [python, "manage.py", "createsuperuser"]
    talk(command, conversation, project.path, env)

    assert list_addresses(project, env) == [ADDRESS, "grace@shop.test"]


@every_database
@pytest.mark.parametrize(
    "spellings",
    [["eve@shop.test", "EVE@Shop.test"], ["élan@shop.test", "ÉLAN@shop.test"]],
)
def test_two_spellings_that_race_make_one_account(project, env, spellings):
    python = project.path / ".venv" / "bin" / "python"
    (project.path / "race.py").write_text("import django; django.setup()\n" + RACE)
    environment = clean_environment() | env

    racers = [
        Process(
            [python, "race.py", spelling],
            project.path,
            name=f"racer-{number}",
            env=environment,
        )
        for number, spelling in enumerate(spellings)
    ]
    for racer in racers:
        assert racer.wait(30) == 0, racer.log

    log = "".join(racer.log for racer in racers)
    assert sorted(re.findall("made|refused", log)) == ["made", "refused"]
    for racer in racers:
        racer.stop()
        racer.log_file.unlink()


@every_database
def test_sql_by_hand_stores_no_second_spelling(project, env):
    script = "import django; django.setup()\n" + BY_HAND
    (project.path / "by_hand.py").write_text(script)

    result = project.execute("python", "by_hand.py", *SPELLINGS[:4], env=env)

    assert result.stdout.split() == ["refused"] * 4


@every_database
def test_wrong_passwords_count_by_address_and_the_log_does_not_show_it(
    project, env, tmp_path
):
    project.manage("collectstatic", "--noinput", env=env)
    with serve(project, env, tmp_path) as server:
        statuses = [log_in(server, spelling, "a guess") for spelling in SPELLINGS]
        locked = log_in(server, ADDRESS, PASSWORD)
        other = log_in(server, "GRACE@shop.test", PASSWORD)

    assert statuses == [200, 200, 200, 200, 429]
    assert (locked, other) == (429, 302)
    lines = [json.loads(line) for line in server.process.log.splitlines()]
    told = [line["message"] for line in lines if line["logger"] == "core.guessing"]
    assert [message for message in told if "locked out" in message]
    for name in ("shop.test", PASSWORD, "a guess"):
        assert not [line for line in lines if name in json.dumps(line).lower()]


@pytest.mark.parametrize(
    ("login", "name"), [("username", "initial"), ("email", "user")]
)
def test_first_migration_is_as_django_writes_it(tmp_path, login, name):
    project = Project.bake(tmp_path, login=login, database="sqlite")
    project.sync()
    migration = project.path / "apps" / "users" / "migrations" / f"0001_{name}.py"
    shipped = migration.read_text()
    migration.unlink()

    project.manage("makemigrations", "users", "--name", name)
    run("ruff", "check", "--no-cache", "--fix", migration, cwd=project.path)
    run("ruff", "format", "--no-cache", migration, cwd=project.path)

    assert migration.read_text().splitlines()[1:] == shipped.splitlines()[1:]


@pytest.fixture(scope="module")
def env(project, services) -> dict[str, str]:
    env = production_environment(project.answers, services)
    project.manage("migrate", env=env)
    return env


def list_addresses(project: Project, env: dict[str, str]) -> list[str]:
    return project.manage("shell", "--no-imports", "-c", LIST, env=env).stdout.split()


def talk(command, conversation, folder, env, timeout=30):
    """Run a command on a new terminal, and answer each prompt."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command],
        cwd=folder,
        env=clean_environment() | env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        heard, deadline = "", time.monotonic() + timeout
        for prompt, answer in conversation:
            while prompt not in heard:
                assert time.monotonic() < deadline, heard
                if select.select([ours], [], [], 1)[0]:
                    heard += os.read(ours, 4096).decode()
            heard = heard.partition(prompt)[2]
            os.write(ours, f"{answer}\n".encode())
        with suppress(OSError):  # the terminal closes with the command
            while os.read(ours, 4096):
                pass
        assert process.wait(timeout) == 0
    os.close(ours)


def log_in(server, email: str, password: str) -> int:
    """Try to log in with the form of the admin; return the status."""
    page = server.get("/admin/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    form = {"csrfmiddlewaretoken": token, "username": email, "password": password}
    request = urllib.request.Request(
        server.url + "/admin/login/",
        data=urllib.parse.urlencode(form).encode(),
        headers={
            "Host": "shop.test",
            "X-Forwarded-Proto": "https",
            "Origin": "https://shop.test",
            "Cookie": page.headers["Set-Cookie"].partition(";")[0],
        },
    )
    try:
        with server.opener.open(request, timeout=10) as response:
            return Answer(response).status
    except urllib.error.HTTPError as error:
        return error.code
