"""Read-only shell: the database refuses every write of a shell with DJANGO_READ_ONLY.

Writes of the ORM, raw SQL, in transactions and to the schema are refused; reads work.
This prevents accidents only: a role with the right to write can lift the setting. The
figure names the statements that do. A process ends if a new connection may write.
"""

import json
import re

import pytest

from tests.drill import (
    every_interface_and_server,
    every_server,
    only_sqlite,
    only_wsgi,
)
from tests.drill.instances import Load

WRITES = {
    "postgresql": [
        "INSERT INTO django_session VALUES ('a', 'b', now())",
        "WITH gone AS (DELETE FROM users_user RETURNING id) SELECT count(*) FROM gone",
        "SELECT nextval('users_user_id_seq')",
        "COPY django_session FROM STDIN",
        "SELECT * FROM users_user FOR UPDATE",
        "CREATE TABLE new (id integer)",
        "SELECT * INTO new FROM users_user",
        "CREATE EXTENSION hstore",
        "DO $$ BEGIN UPDATE users_user SET first_name = 'Eve'; END $$",
    ],
    "mysql": [
        "REPLACE INTO django_session VALUES ('a', 'b', '2030-01-01')",
        "DELETE users_user FROM users_user",
        "LOAD DATA LOCAL INFILE '/dev/null' INTO TABLE django_session",
        "CREATE TABLE new (id integer)",
        "CREATE TABLE new AS SELECT * FROM users_user",
        "ALTER TABLE users_user ADD COLUMN new integer",
        "RENAME TABLE users_user TO new",
        "OPTIMIZE TABLE users_user",
        "BEGIN NOT ATOMIC UPDATE users_user SET first_name = 'Eve'; END",
    ],
    "sqlite": [
        "REPLACE INTO django_session VALUES ('a', 'b', '2030-01-01')",
        "CREATE TABLE new (id integer)",
        "CREATE TABLE new AS SELECT * FROM users_user",
        "ALTER TABLE users_user ADD COLUMN new integer",
        "REINDEX",
        "PRAGMA user_version = 7",
    ],
}
ANYWHERE = [
    "UPDATE users_user SET first_name = 'Eve'",
    "DELETE FROM users_user",
    "DROP TABLE users_user",
]
LIFTS = {
    "postgresql": [
        "SET default_transaction_read_only = off",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ],
    "mysql": ["SET SESSION TRANSACTION READ WRITE"],
    "sqlite": ["PRAGMA query_only = OFF"],
}
TRY = """
import json, sys
from django.db import connection, transaction
from apps.users.models import User

def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)

def together(*statements):
    with transaction.atomic():
        User.objects.count()
        run(*statements)

def attempt_together(statement):
    return lambda: together(statement)

def attempt_after(lift):
    update = "UPDATE users_user SET first_name = first_name WHERE 1 = 0"
    return lambda: run(lift, update)

writes, lifts = json.loads('''INPUT''')
attempts = {
    "create": lambda: User.objects.create(username="eve"),
    "bulk_create": lambda: User.objects.bulk_create([User(username="eve")]),
    "update": lambda: User.objects.update(first_name="Eve"),
    "save": lambda: User.objects.get(username="root").save(),
    "delete": lambda: User.objects.all().delete(),
    **{statement: lambda statement=statement: run(statement) for statement in writes},
    **{f"in a transaction: {write}": attempt_together(write) for write in writes},
    **{lift: attempt_after(lift) for lift in lifts},
}
with transaction.atomic():
    assert User.objects.count()
told = {}
for name, attempt in attempts.items():
    try:
        attempt()
        told[name] = None
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}"
    connection.close()
print(json.dumps(told))
"""
READ_ONLY = {"DJANGO_READ_ONLY": "1"}
MAY_WRITE = "DJANGO_READ_ONLY: this connection may write; avoid poolers"
LOOK = """
from django.db import connection
from apps.users.models import User
users = User.objects.order_by("pk").values_list()
print(connection.introspection.table_names(), list(users))
"""
MAKE_USER = """
from apps.users.models import User
User.objects.create(username="root")
"""


@every_interface_and_server
def test_no_write_gets_through(project, env, report):
    report(drill(project, env))


@only_sqlite
def test_no_write_gets_through_to_a_file(project, env, report):
    report(drill(project, env))


@every_interface_and_server
def test_an_instance_that_cannot_write_shows_pages(project, env, start):
    # The master has verified a connection: the workers must not inherit it.
    instance = start(project, env | READ_ONLY)
    with Load(instance.port, "/drill/row/", clients=8) as load:
        load.wait_for(200)
    assert not load.failures, load.failures[0]
    assert instance.is_ready()


@every_server
def test_a_connection_that_may_write_ends_the_process(project, env, break_promise):
    is_file = project.answers["database"] == "sqlite"
    given = "read_only=READ_ONLY" if is_file else 'read_only=READ_ONLY or alias == "'
    lost = given.replace("READ_ONLY", "False")
    broken = break_promise("config/settings/production.py", given, lost)
    look = ("shell", "--no-imports", "-c", LOOK)
    end = broken.manage(*look, env=env | READ_ONLY, check=False)
    assert (end.returncode, end.stdout) == (1, "")
    assert end.stderr.strip() == MAY_WRITE


@only_wsgi
def test_a_shell_that_can_write_is_noticed(project, env, database, break_promise):
    old, new = 'READ_ONLY or alias == "replica"', 'alias == "replica"'
    break_promise("config/settings/production.py", old, new)
    connect = "connection_created.connect(confirm_read_only)"
    broken = break_promise("core/apps.py", connect, "pass")
    spare = env | {"DATABASE_URL": database.create_database()}
    project.manage("migrate", env=spare)
    shell(project, spare, MAKE_USER)
    with pytest.raises(AssertionError, match="not refused"):
        drill(broken, spare)


def drill(project, env: dict[str, str]) -> str:
    kind = project.answers["database"]
    writes, lifts = [*WRITES[kind], *ANYWHERE], LIFTS[kind]
    before = shell(project, env, LOOK)
    script = TRY.replace("INPUT", json.dumps([writes, lifts]).replace("\\", "\\\\"))
    output = shell(project, env | READ_ONLY, script)
    told = json.loads(output.splitlines()[-1])
    lifted = [lift for lift in lifts if told.pop(lift) is None]
    # A failure for another reason proves nothing.
    through = {
        name: error
        for name, error in told.items()
        if not re.search("read.?only", error or "", re.IGNORECASE)
    }
    assert not through, f"not refused: {through}"
    assert shell(project, env, LOOK) == before
    words = " and by ".join(lifted) or "nothing"
    return f"{len(told)} writes refused; lifted by {words}"


def shell(project, env: dict[str, str], script: str) -> str:
    return project.manage("shell", "--no-imports", "-c", script, env=env).stdout
