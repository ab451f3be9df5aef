"""Tasks in production mode: enqueued on commit by a real request, run by a real worker, logged under the request's id."""

import json
import re
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.bakery import Project, clean_environment, production_environment
from tests.services import (
    BlackHole,
    Certificate,
    Mailbox,
    Process,
    RabbitMQ,
    Redis,
    Service,
    free_port,
    wait_until,
)
from tests.serving import CELERY_ON_A_SIGNAL, Answer, Server, serve

DATABASE = {"task_queue": "database", "interface": "asgi"}
CELERY = {"task_queue": "celery", "interface": "wsgi"}
PASSWORD = "correct horse battery"


def queue(name: str):
    return pytest.param(
        name,
        id=name,
        marks=pytest.mark.xdist_group(
            "tasks in the database" if name == "database" else "celery"
        ),
    )


every_queue = pytest.mark.parametrize(
    "queue", [queue("database"), queue("redis"), queue("rabbitmq")], indirect=True
)
every_broker = pytest.mark.parametrize(
    "queue", [queue("redis"), queue("rabbitmq")], indirect=True
)
only_database = pytest.mark.parametrize("queue", [queue("database")], indirect=True)
only_redis = pytest.mark.parametrize("queue", [queue("redis")], indirect=True)
only_rabbitmq = pytest.mark.parametrize("queue", [queue("rabbitmq")], indirect=True)


@every_queue
def test_a_request_enqueues_and_the_worker_delivers_under_its_id(queue, tmp_path):
    with serve(queue.project, queue.env, tmp_path) as server, queue.worker() as worker:
        answer = queue.add_user_in_the_admin(
            server, queue.address("ada"), "from-the-proxy"
        )
        message = queue.smtp.wait_for_message(30)
    assert answer.status == 302
    assert answer.headers["X-Request-ID"] == "from-the-proxy"
    assert (message["To"], message["Subject"]) == (
        queue.address("ada"),
        "Welcome to My Project",
    )
    assert queue.address("ada") in message.get_content()
    assert message["Message-ID"].endswith("@example.com>")

    assert worker.returncode == 0
    lines = json_lines(worker)
    told = [line for line in lines if line.get("request_id") == "from-the-proxy"]
    assert [
        line["message"] for line in told if line["logger"] == "apps.users.tasks"
    ] == [f"welcome mail sent to user {queue.newest()}"]
    assert {line["logger"] for line in told} >= {"apps.users.tasks", queue.logger}
    assert not [
        line
        for line in lines
        if line["level"] in ("ERROR", "CRITICAL") or "exc_info" in line
    ]
    assert "ada-" not in worker.log


@every_queue
def test_a_command_enqueues_and_a_transaction_that_is_rolled_back_does_not(queue):
    queue.create_user(queue.address("gone"), after="raise SystemExit")
    queue.project.manage(
        *(
            "createsuperuser",
            "--no-input",
            f"--username=root-{queue.name}",
            f"--email={queue.address('root')}",
        ),
        env=queue.env | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD},
    )
    with queue.worker():
        wait_until(lambda: queue.smtp.messages, 30, "a mail")
    # What was enqueued first would have come first; the worker has ended, so nothing else comes.
    assert [message["To"] for message in queue.smtp.messages] == [queue.address("root")]


@every_queue
def test_a_worker_that_is_told_to_stop_ends_its_task_first(queue):
    queue.smtp.hold()
    queue.create_user(queue.address("slow"))
    queue.create_user(queue.address("next"))
    with queue.worker("--concurrency=1") as worker:
        worker.wait_for(queue.smtp.arrived.is_set, 30, "the task to be under way")
        worker.send_signal(signal.SIGTERM)
        wait_until(
            lambda: re.search("shutting down|Warm shutdown", worker.log),
            5,
            "the signal to arrive",
        )
        assert worker.running
        queue.smtp.release()
        assert worker.wait(15) == 0
    assert [message["To"] for message in queue.smtp.messages] == [queue.address("slow")]
    assert "welcome mail sent" in worker.log
    json_lines(worker)
    with queue.worker():
        wait_until(lambda: len(queue.smtp.messages) == 2, 30, "what was left")
    assert queue.smtp.messages[-1]["To"] == queue.address("next")


@pytest.mark.parametrize("away", ["refuses", "swallows"])
@every_broker
def test_a_broker_that_is_away_costs_no_user_and_no_five_seconds(queue, tmp_path, away):
    with BlackHole() as hole:
        port = hole.port if away == "swallows" else free_port()
        url = re.sub(r":\d+/", f":{port}/", queue.env["CELERY_BROKER_URL"])
        with serve(
            queue.project, queue.env | {"CELERY_BROKER_URL": url}, tmp_path
        ) as server:
            for number in range(2):
                answer = queue.add_user_in_the_admin(
                    server, queue.address(f"{away}{number}"), "unlucky"
                )
                assert answer.seconds < 5
                assert answer.status == 302
    assert queue.count(f"email__regex='{away}.-{queue.name}'") == 2
    errors = [line for line in json_lines(server.process) if line["level"] == "ERROR"]
    assert len(errors) == 2
    for error in errors:
        assert error["request_id"] == "unlucky"
        assert "send_welcome_mail" in error["message"]
        assert "OperationalError" in error["exc_info"]
    assert (
        urllib.parse.urlsplit(url).password not in (None, "") or queue.name == "redis"
    )
    assert (
        not urllib.parse.urlsplit(url).password
        or urllib.parse.urlsplit(url).password not in server.process.log
    )


@every_broker
def test_server_and_worker_find_the_broker_again(queue, tmp_path):
    with serve(queue.project, queue.env, tmp_path) as server, queue.worker() as worker:
        queue.add_user_in_the_admin(server, queue.address("before"), "before")
        wait_until(lambda: queue.smtp.messages, 30, "the first mail")
        queue.broker.restart()
        queue.add_user_in_the_admin(server, queue.address("after"), "after")
        worker.wait_for(
            lambda: queue.smtp.messages[-1]["To"] == queue.address("after"),
            30,
            "the second mail",
        )
    # The first may come twice: the broker may have gone before it heard that the task was done.
    assert {message["To"] for message in queue.smtp.messages} == {
        queue.address("before"),
        queue.address("after"),
    }
    assert worker.returncode == 0
    json_lines(worker)
    assert not [line for line in json_lines(server.process) if line["level"] == "ERROR"]


@only_rabbitmq
def test_a_task_whose_worker_was_killed_runs_again_and_sends_the_same_message(queue):
    queue.smtp.hold()
    queue.create_user(queue.address("again"))
    with queue.worker() as worker:
        worker.wait_for(queue.smtp.arrived.is_set, 30, "the task to be under way")
        worker.stop_signal = signal.SIGKILL
    queue.smtp.release()
    with queue.worker():
        wait_until(lambda: len(queue.smtp.arrivals) == 2, 30, "the second run")
    first, second = queue.smtp.arrivals
    assert first["Message-ID"] == second["Message-ID"]


@every_queue
def test_a_task_that_fails_is_reported_with_the_id_of_its_request(queue, services):
    services.sentry.events.clear()
    queue.create_user(queue.address("fail"), before="request_id.set('a-request')")
    queue.project.manage("shell", "--no-imports", "-c", BREAK, env=queue.env)
    try:
        with queue.worker():
            event = services.sentry.wait_for_event(30)
    finally:
        queue.project.manage("shell", "--no-imports", "-c", MEND, env=queue.env)
    assert event["tags"]["request_id"] == "a-request"
    assert "ProgrammingError" in {
        exception["type"] for exception in event["exception"]["values"]
    }
    assert "fail-" not in json.dumps(event)


@every_queue
def test_a_worker_does_not_start_on_an_unusable_environment(queue):
    result = queue.project.execute(
        *queue.command, env=queue.env | {"DJANGO_SECRET_KEY": "change-me"}, check=False
    )
    assert result.returncode == 1
    assert "DJANGO_SECRET_KEY still holds a placeholder" in result.stderr
    assert "Traceback" not in result.stderr


@every_queue
def test_development_runs_tasks_at_once_within_the_request_unless_there_is_a_queue(
    queue,
):
    run = "from core.logs import request_id; from apps.users.tasks import send_welcome_mail as t; request_id.set('mine')"
    run += f"; t.{'enqueue' if queue.name == 'database' else 'delay'}(0); print(request_id.get())"
    waits = {"database": "TASKS_IMMEDIATE"}.get(queue.name, "CELERY_BROKER_URL")
    setting = "from django.conf import settings as s; print(getattr(s, 'CELERY_TASK_ALWAYS_EAGER', s.TASKS))"

    def develop(script: str, **env: str) -> str:
        return queue.project.manage(
            "shell", "--no-imports", "-c", script, env=env
        ).stdout.splitlines()[-1]

    assert develop(run) == "mine"
    assert re.search("True|Immediate", develop(setting))
    assert not re.search(
        "True|Immediate", develop(setting, **{waits: queue.env.get(waits, "false")})
    )


@only_redis
def test_nothing_but_json_is_believed(queue):
    pickle = "from config.celery import app; app.send_task('apps.users.tasks.send_welcome_mail', [0], serializer='pickle')"
    queue.project.manage("shell", "--no-imports", "-c", pickle, env=queue.env)
    queue.create_user(queue.address("after-the-pickle"))
    with queue.worker() as worker:
        wait_until(lambda: queue.smtp.messages, 30, "a mail")
    assert "no welcome mail" not in worker.log
    assert [
        line
        for line in json_lines(worker)
        if "ContentDisallowed" in line.get("exc_info", line["message"])
    ]


@only_redis
def test_a_broker_is_believed_by_its_certificate_and_name(queue, tmp_path):
    certificate = Certificate(tmp_path / "certificate")
    enqueue = "from apps.users.tasks import send_welcome_mail as t; t.delay(0)"

    def refusal(url: str, **env: str) -> str:
        result = queue.project.manage(
            "shell",
            "--no-imports",
            "-c",
            enqueue,
            env=queue.env | {"CELERY_BROKER_URL": url} | env,
            check=False,
        )
        return "" if result.returncode == 0 else result.stderr + result.stdout

    for server in (
        Redis(tmp_path / "redis", certificate=certificate),
        RabbitMQ(tmp_path / "rabbitmq", certificate),
    ):
        with server:
            trusted = {"SSL_CERT_FILE": str(certificate.file)}
            assert refusal(server.url, **trusted) == ""
            assert "CERTIFICATE_VERIFY_FAILED" in refusal(server.url)
            # Another name of the same address, which the certificate does not have.
            assert "ostname mismatch" in refusal(
                server.url.replace("127.0.0.1", "127.1"), **trusted
            )


@only_database
def test_results_are_pruned(queue):
    queue.create_user(queue.address("old"))
    queue.project.manage("db_worker", "--batch", "--no-startup-delay", env=queue.env)
    prune = queue.project.manage(
        "prune_db_task_results", "--min-age-days=0", env=queue.env
    )
    (line,) = prune.stdout.splitlines()
    assert re.fullmatch(
        r"Deleted [1-9]\d* task result\(s\)", json.loads(line)["message"]
    )


@only_redis
def test_beat_needs_no_file_and_stops_in_order(queue, tmp_path):
    environ = (
        clean_environment()
        | queue.env
        | {"PYTHONPATH": str(queue.project.path), "DJANGO_LOG_LEVEL": "DEBUG"}
    )
    command = [
        queue.project.path / ".venv" / "bin" / "celery",
        "--app",
        "config.celery",
        "--quiet",
        "beat",
    ]
    with Process(command, tmp_path / "beat", env=environ) as beat:
        beat.wait_for(lambda: "beat: Waking up" in beat.log, 20, "beat to start")
        beat.send_signal(signal.SIGTERM)
        assert beat.wait(10) == 0
    json_lines(beat)
    assert [path.name for path in (tmp_path / "beat").iterdir()] == ["celery.log"]


# A session of somebody who may do everything in the admin.
SIGN_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.cached_db import SessionStore
from apps.users.models import User
boss = User.objects.create(username="boss", is_staff=True, is_superuser=True)
session = SessionStore()
session[SESSION_KEY] = str(boss.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = boss.get_session_auth_hash()
session.save()
print(session.session_key)
"""
BREAK = "from django.db import connection as c; c.cursor().execute('ALTER TABLE users_user RENAME COLUMN email TO mail')"
MEND = "from django.db import connection as c; c.cursor().execute('ALTER TABLE users_user RENAME COLUMN mail TO email')"


@dataclass
class Queue:
    """A project with one kind of queue: what it takes to fill it and to work on it."""

    name: str
    project: Project
    env: dict[str, str]
    session: str
    smtp: Mailbox
    broker: Service | None

    @property
    def command(self) -> list[str]:
        if self.name == "database":
            return [
                "python",
                "manage.py",
                "db_worker",
                "--no-startup-delay",
                "--interval=0.1",
            ]
        return ["celery", "--app", "config.celery", "--quiet", "worker"]

    @property
    def logger(self) -> str:
        """The logger that says how a task ended."""
        return "django.tasks" if self.name == "database" else "celery.app.trace"

    @contextmanager
    def worker(self, *celery_options: str) -> Iterator[Process]:
        """A worker, stopped in order at the end."""
        program, *arguments = self.command
        options = (
            [] if self.name == "database" else ["--concurrency=2", *celery_options]
        )
        command = [self.project.path / ".venv" / "bin" / program, *arguments, *options]
        process = Process(
            command,
            self.project.path,
            name=f"worker{free_port()}",
            env=clean_environment() | self.env,
        )
        with process:
            yield process
            if process.running:
                process.send_signal(process.stop_signal)
                process.wait(30)

    def address(self, name: str) -> str:
        """An address of this queue's own: both brokers serve one project, with one database."""
        return f"{name}-{self.name}@shop.test"

    def create_user(self, email: str, before: str = "", after: str = "") -> None:
        """Create a user in a transaction, with code before and code at its end."""
        script = (
            "from django.db import transaction; from apps.users.models import User; "
            f"from core.logs import request_id; {before}\n"
            f"with transaction.atomic():\n    User.objects.create(username={email!r}, email={email!r})\n    {after}"
        )
        self.project.manage(
            "shell", "--no-imports", "-c", script, env=self.env, check=not after
        )

    def count(self, lookup: str) -> int:
        return self.ask(f"User.objects.filter({lookup}).count()")

    def newest(self) -> int:
        return self.ask("User.objects.latest('pk').pk")

    def ask(self, expression: str) -> int:
        script = f"from apps.users.models import User; print({expression})"
        return int(
            self.project.manage(
                "shell", "--no-imports", "-c", script, env=self.env
            ).stdout
        )

    def add_user_in_the_admin(
        self, server: Server, email: str, request_id: str
    ) -> Answer:
        """Fill in the form as a browser would; the answer is that to the form."""
        form = server.get(
            "/admin/users/user/add/", Cookie=f"__Host-sessionid={self.session}"
        )
        assert form.status == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)[1]
        cookie = re.match(r"__Host-csrftoken=\w+", form.headers["Set-Cookie"])[0]
        fields = {
            "csrfmiddlewaretoken": token,
            "username": email,
            "email": email,
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        headers = {
            "Host": "shop.test",
            "X-Forwarded-Proto": "https",
            "Referer": "https://shop.test/",
            "Cookie": f"__Host-sessionid={self.session}; {cookie}",
            "X-Request-ID": request_id,
        }
        request = urllib.request.Request(
            f"{server.url}/admin/users/user/add/",
            urllib.parse.urlencode(fields).encode(),
            headers,
        )
        started = time.monotonic()
        try:
            with server.opener.open(request, timeout=20) as response:
                answer = Answer(response)
        except urllib.error.HTTPError as error:
            answer = Answer(error)
        answer.seconds = time.monotonic() - started
        return answer


def json_lines(process: Process) -> list[dict]:
    lines = [
        json.loads(line)
        for line in process.log.splitlines()
        if not CELERY_ON_A_SIGNAL.fullmatch(line)
    ]
    assert all(
        {"timestamp", "level", "logger", "message"} <= line.keys() for line in lines
    )
    return lines


@pytest.fixture(scope="module")
def projects(tmp_path_factory, services):
    """Projects by kind of queue, made when one is first asked for, and their environments."""
    made: dict[str, tuple[Project, dict[str, str], str]] = {}

    def get(answers: dict[str, str]) -> tuple[Project, dict[str, str], str]:
        kind = answers["task_queue"]
        if kind not in made:
            project = Project.bake(tmp_path_factory.mktemp(kind), **answers)
            project.sync()
            env = production_environment(project.answers, services)
            project.manage("collectstatic", "--noinput", env=env)
            project.manage("migrate", env=env)
            session = project.manage(
                "shell", "--no-imports", "-c", SIGN_IN, env=env
            ).stdout.strip()
            made[kind] = project, env, session
        return made[kind]

    return get


@pytest.fixture
def queue(request, projects, services, tmp_path) -> Iterator[Queue]:
    project, env, session = projects(
        DATABASE if request.param == "database" else CELERY
    )
    broker = getattr(services, request.param, None)
    (project.path / "server.log").unlink(missing_ok=True)  # of the test before
    with Mailbox(tmp_path / "mail") as smtp:
        env = env | {"EMAIL_URL": f"smtp://127.0.0.1:{smtp.port}"}
        if broker:
            env["CELERY_BROKER_URL"] = broker.url
        yield Queue(request.param, project, env, session, smtp, broker)
        smtp.release()
