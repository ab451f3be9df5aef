"""Tasks in production: enqueued on commit, run by a worker, logged with request id."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
from tests.services.process import find_program
from tests.serving import CELERY_ON_A_SIGNAL, Answer, Server, serve

DATABASE = {"task_queue": "database", "interface": "asgi"}
CELERY = {"task_queue": "celery", "interface": "wsgi"}
PASSWORD = "correct horse battery"


def queue(name: str, *marks):
    group = "tasks in the database" if name == "database" else "celery"
    return pytest.param(name, id=name, marks=[pytest.mark.xdist_group(group), *marks])


def with_queues(*queues):
    return pytest.mark.parametrize("queue", queues, indirect=True)


# What depends on the broker itself is tested with both in the short form too.
every_queue = with_queues(
    queue("database"), queue("redis"), queue("rabbitmq", pytest.mark.long)
)
every_broker = with_queues(queue("redis"), queue("rabbitmq"))
only_database = with_queues(queue("database"))
only_redis = with_queues(queue("redis"))
only_rabbitmq = with_queues(queue("rabbitmq"))


@every_queue
def test_a_request_enqueues_and_the_worker_delivers_under_its_id(queue, tmp_path):
    address = queue.address("ada")
    with serve(queue.project, queue.env, tmp_path) as server, queue.worker() as worker:
        answer = queue.add_user_in_the_admin(server, address, "from-the-proxy")
        message = queue.smtp.wait_for_message(30)
    assert answer.status == 302
    assert answer.headers["X-Request-ID"] == "from-the-proxy"
    assert (message["To"], message["Subject"]) == (address, "Welcome to My Project")
    assert address in message.get_content()
    assert message["Message-ID"].endswith("@example.com>")

    assert worker.returncode == 0
    lines = json_lines(worker)
    told = [line for line in lines if line.get("request_id") == "from-the-proxy"]
    of_task = [line["message"] for line in told if line["logger"] == "apps.users.tasks"]
    assert of_task == [f"sent a welcome mail to user {queue.newest()}"]
    assert {line["logger"] for line in told} >= {"apps.users.tasks", queue.logger}
    assert not [line for line in lines if line["level"] in ("ERROR", "CRITICAL")]
    assert not [line for line in lines if "exc_info" in line]
    assert "ada-" not in worker.log


@every_queue
def test_a_command_enqueues_and_a_transaction_that_is_rolled_back_does_not(queue):
    queue.create_user(queue.address("gone"), after="raise SystemExit")
    names = (f"--username=root-{queue.name}", f"--email={queue.address('root')}")
    env = queue.env | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    queue.project.manage("createsuperuser", "--no-input", *names, env=env)
    with queue.worker():
        wait_until(lambda: queue.smtp.messages, 30, "a mail")
    # The first task would have sent the first mail. The worker has ended.
    assert [message["To"] for message in queue.smtp.messages] == [queue.address("root")]


@every_queue
def test_a_worker_that_is_told_to_stop_ends_its_task_first(queue):
    queue.smtp.hold()
    queue.create_user(queue.address("slow"))
    queue.create_user(queue.address("next"))
    with queue.worker("--concurrency=1") as worker:
        worker.wait_for(queue.smtp.arrived.is_set, 30, "the task to run")
        worker.send_signal(signal.SIGTERM)
        stops = re.compile("shutting down|Warm shutdown")
        wait_until(lambda: stops.search(worker.log), 5, "the signal to arrive")
        assert worker.running
        queue.smtp.release()
        assert worker.wait(15) == 0
    assert [message["To"] for message in queue.smtp.messages] == [queue.address("slow")]
    assert "sent a welcome mail" in worker.log
    json_lines(worker)
    with queue.worker():
        wait_until(lambda: len(queue.smtp.messages) == 2, 30, "what was left")
    assert queue.smtp.messages[-1]["To"] == queue.address("next")


@pytest.mark.parametrize("away", ["refuses", "swallows"])
@every_broker
def test_an_unreachable_broker_loses_no_user_and_takes_less_than_five_seconds(
    queue, tmp_path, away
):
    with BlackHole() as hole:
        port = hole.port if away == "swallows" else free_port()
        url = re.sub(r":\d+/", f":{port}/", queue.env["CELERY_BROKER_URL"])
        env = queue.env | {"CELERY_BROKER_URL": url}
        with serve(queue.project, env, tmp_path) as server:
            for number in range(2):
                address = queue.address(f"{away}{number}")
                answer = queue.add_user_in_the_admin(server, address, "unlucky")
                assert answer.seconds < 5
                assert answer.status == 302
    assert queue.count(f"email__regex='{away}.-{queue.name}'") == 2
    errors = [line for line in json_lines(server.process) if line["level"] == "ERROR"]
    assert len(errors) == 2
    for error in errors:
        assert error["request_id"] == "unlucky"
        assert "send_welcome_mail" in error["message"]
        assert "OperationalError" in error["exc_info"]
    password = urllib.parse.urlsplit(url).password
    assert password or queue.name == "redis"
    assert not password or password not in server.process.log


@every_broker
def test_server_and_worker_find_the_broker_again(queue, tmp_path):
    with serve(queue.project, queue.env, tmp_path) as server, queue.worker() as worker:
        queue.add_user_in_the_admin(server, queue.address("before"), "before")
        wait_until(lambda: queue.smtp.messages, 30, "the first mail")
        # With a task that nobody has confirmed yet, Kombu's error may end the worker.
        worker.wait_for(lambda: "succeeded" in worker.log, 30, "the first task")
        queue.broker.restart()
        last = queue.address("after")
        queue.add_user_in_the_admin(server, last, "after")
        worker.wait_for(
            lambda: queue.smtp.messages[-1]["To"] == last, 30, "the second mail"
        )
    # The first mail may arrive twice, if the broker stopped before the acknowledgement.
    receivers = {message["To"] for message in queue.smtp.messages}
    assert receivers == {queue.address("before"), last}
    assert worker.returncode == 0
    json_lines(worker)
    assert not [line for line in json_lines(server.process) if line["level"] == "ERROR"]


@only_rabbitmq
def test_a_task_whose_worker_was_killed_runs_again_and_sends_the_same_message(queue):
    queue.smtp.hold()
    queue.create_user(queue.address("again"))
    with queue.worker() as worker:
        worker.wait_for(queue.smtp.arrived.is_set, 30, "the task to run")
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
        queue.project.manage("shell", "--no-imports", "-c", FIX, env=queue.env)
    assert event["tags"]["request_id"] == "a-request"
    exceptions = event["exception"]["values"]
    assert "ProgrammingError" in {exception["type"] for exception in exceptions}
    assert "fail-" not in json.dumps(event)


@every_queue
def test_a_worker_does_not_start_on_an_unusable_environment(queue):
    env = queue.env | {"DJANGO_SECRET_KEY": "change-me"}
    result = queue.project.execute(*queue.command, env=env, check=False)
    assert result.returncode == 1
    assert "DJANGO_SECRET_KEY still holds a placeholder" in result.stderr
    assert "Traceback" not in result.stderr


@every_queue
def test_development_runs_tasks_at_once_within_the_request_unless_there_is_a_queue(
    queue,
):
    is_database = queue.name == "database"
    run = RUN.format(method="enqueue" if is_database else "delay")
    variable = "TASKS_IMMEDIATE" if is_database else "CELERY_BROKER_URL"
    with_queue = {variable: queue.env.get(variable, "false")}
    immediate = re.compile("True|Immediate")

    def develop(script: str, **env: str) -> str:
        result = queue.project.manage("shell", "--no-imports", "-c", script, env=env)
        return result.stdout.splitlines()[-1]

    assert develop(run) == "mine"
    assert immediate.search(develop(SHOW_SETTING))
    assert not immediate.search(develop(SHOW_SETTING, **with_queue))


@only_redis
def test_only_json_is_accepted(queue):
    queue.project.manage("shell", "--no-imports", "-c", SEND_PICKLE, env=queue.env)
    queue.create_user(queue.address("after-the-pickle"))
    with queue.worker() as worker:
        wait_until(lambda: queue.smtp.messages, 30, "a mail")
    assert "no welcome mail" not in worker.log
    errors = [line.get("exc_info", line["message"]) for line in json_lines(worker)]
    assert [error for error in errors if "ContentDisallowed" in error]


@only_redis
def test_a_broker_needs_a_trusted_certificate_for_its_name(queue, tmp_path):
    certificate = Certificate(tmp_path / "certificate")

    def refusal(url: str, **env: str) -> str:
        env = queue.env | {"CELERY_BROKER_URL": url} | env
        command = ("shell", "--no-imports", "-c", DELAY)
        result = queue.project.manage(*command, env=env, check=False)
        return "" if result.returncode == 0 else result.stderr + result.stdout

    for server in (
        Redis(tmp_path / "redis", certificate=certificate),
        RabbitMQ(tmp_path / "rabbitmq", certificate),
    ):
        with server:
            trusted = {"SSL_CERT_FILE": str(certificate.file)}
            assert refusal(server.url, **trusted) == ""
            assert "CERTIFICATE_VERIFY_FAILED" in refusal(server.url)
            # Another name of the same address, which is not in the certificate.
            other = server.url.replace("127.0.0.1", "127.1")
            assert "ostname mismatch" in refusal(other, **trusted)


@only_database
def test_results_are_pruned(queue):
    queue.create_user(queue.address("old"))
    queue.project.manage("db_worker", "--batch", "--no-startup-delay", env=queue.env)
    command = ("prune_db_task_results", "--min-age-days=0")
    (line,) = queue.project.manage(*command, env=queue.env).stdout.splitlines()
    message = json.loads(line)["message"]
    assert re.fullmatch(r"Deleted [1-9]\d* task result\(s\)", message)


@only_redis
def test_the_database_of_the_cache_is_no_broker(queue):
    cache = queue.env["CACHE_URL"]
    *_, address = cache.removesuffix("/0").split("/")
    for url in (cache, f"redis://{address}", f"redis://:s3cret@{address}/0"):
        env = queue.env | {"CELERY_BROKER_URL": url}
        result = queue.project.manage("check", env=env, check=False)
        assert result.returncode
        output = result.stdout + result.stderr
        assert "  - CELERY_BROKER_URL must not be the database of CACHE_URL\n" in output
        assert output.count("  - ") == 1
        assert address not in output


@only_redis
def test_a_cleared_cache_leaves_the_tasks(queue):
    queue.create_user(queue.address("kept"))
    queue.project.manage("shell", "--no-imports", "-c", CLEAR, env=queue.env)
    with queue.worker():
        wait_until(lambda: queue.smtp.messages, 30, "the mail")


@only_redis
def test_nobody_controls_a_worker_through_its_broker(queue):
    with queue.worker() as worker:
        worker.wait_for(lambda: " ready." in worker.log, 30, "the worker to start")
        command = ("celery", "--app", "config.celery", "inspect", "ping")
        result = queue.project.execute(*command, env=queue.env, check=False)
    assert "No nodes replied" in result.stdout + result.stderr


@only_redis
def test_a_worker_keeps_within_the_limit_of_its_container(queue, tmp_path):
    """As the kernel shows a container a limit of one core: cgroup 2, or else 1."""
    script = """
        mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir /sys/fs/cgroup/cpu
        echo 100000 100000 > /sys/fs/cgroup/cpu.max
        echo 100000 | tee /sys/fs/cgroup/cpu/cpu.cfs_quota_us > /dev/null
        echo 100000 | tee /sys/fs/cgroup/cpu/cpu.cfs_period_us > /dev/null
        exec "$@"
    """
    unshare = [find_program("unshare", "util-linux"), "--mount"]
    if os.geteuid():
        unshare.append("--map-root-user")
    program = queue.project.path / ".venv" / "bin" / "celery"
    command = [*unshare, "sh", "-ec", script, "sh", program, *queue.command[1:]]
    env = clean_environment() | queue.env
    with Process(command, queue.project.path, name="limited", env=env) as worker:
        worker.wait_for(lambda: " ready." in worker.log, 30, "the worker to start")
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text()
    assert len(children.split()) == 1


@with_queues(queue("database"), queue("redis"))
def test_the_health_command_sees_a_worker_that_hangs(queue):
    with queue.worker() as worker:
        assert_health(queue, worker)
        if queue.name == "database":
            queue.smtp.hold()
            queue.create_user(queue.address("hangs"))
            worker.wait_for(queue.smtp.arrived.is_set, 30, "a task that hangs")
            make_old(queue)
            assert not is_healthy(queue, worker)
            queue.smtp.release()
            worker.wait_for(lambda: is_healthy(queue, worker), 30, "its end")


@only_redis
def test_beat_needs_no_file_and_stops_in_order(queue, tmp_path):
    environ = clean_environment() | queue.env
    environ |= {"PYTHONPATH": str(queue.project.path), "DJANGO_LOG_LEVEL": "DEBUG"}
    program = queue.project.path / ".venv" / "bin" / "celery"
    command = [program, "--app", "config.celery", "--quiet", "beat"]
    with Process(command, tmp_path / "beat", env=environ) as beat:
        beat.wait_for(lambda: "beat: Waking up" in beat.log, 20, "beat to start")
        assert_health(queue, beat)
        beat.send_signal(signal.SIGTERM)
        assert beat.wait(10) == 0
    json_lines(beat)
    assert [path.name for path in (tmp_path / "beat").iterdir()] == ["celery.log"]


# Print the session of a superuser.
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
RENAME = """
from django.db import connection
sql = "ALTER TABLE users_user RENAME COLUMN {old} TO {new}"
connection.cursor().execute(sql)
"""
BREAK = RENAME.format(old="email", new="mail")
FIX = RENAME.format(old="mail", new="email")
RUN = """
from core.logs import request_id
from apps.users.tasks import send_welcome_mail
request_id.set("mine")
send_welcome_mail.{method}(0)
print(request_id.get())
"""
CLEAR = """
from django.core.cache import cache
cache.clear()
"""
DELAY = """
from apps.users.tasks import send_welcome_mail
send_welcome_mail.delay(0)
"""
SHOW_SETTING = """
from django.conf import settings
print(getattr(settings, "CELERY_TASK_ALWAYS_EAGER", settings.TASKS))
"""
SEND_PICKLE = """
from config.celery import app
app.send_task("apps.users.tasks.send_welcome_mail", [0], serializer="pickle")
"""
CREATE_USER = """
from django.db import transaction
from apps.users.models import User
from core.logs import request_id
{before}
with transaction.atomic():
    User.objects.create(username={email!r}, email={email!r})
    {after}
"""


@dataclass
class Queue:
    """A project with one kind of queue, and helpers to fill it and to run workers."""

    name: str
    project: Project
    env: dict[str, str]
    session: str
    smtp: Mailbox
    broker: Service | None

    @property
    def command(self) -> list[str]:
        if self.name == "database":
            options = ["--no-startup-delay", "--interval=0.1"]
            return ["python", "manage.py", "db_worker", *options]
        return ["celery", "--app", "config.celery", "--quiet", "worker"]

    @property
    def logger(self) -> str:
        """Return the logger that reports the end of a task."""
        return "django.tasks" if self.name == "database" else "celery.app.trace"

    @contextmanager
    def worker(self, *celery_options: str) -> Iterator[Process]:
        """Start a worker, and stop it with its signal at the end."""
        program, *arguments = self.command
        if self.name != "database":
            arguments += ["--concurrency=2", *celery_options]
        command = [self.project.path / ".venv" / "bin" / program, *arguments]
        name, env = f"worker{free_port()}", clean_environment() | self.env
        with Process(command, self.project.path, name=name, env=env) as process:
            yield process
            if process.running:
                process.send_signal(process.stop_signal)
                process.wait(30)

    def address(self, name: str) -> str:
        """Return an address for this queue; both brokers share one database."""
        return f"{name}-{self.name}@shop.test"

    def create_user(self, email: str, before: str = "", after: str = "") -> None:
        """Create a user in a transaction, with code before it and at its end."""
        script = CREATE_USER.format(email=email, before=before, after=after)
        command = ("shell", "--no-imports", "-c", script)
        self.project.manage(*command, env=self.env, check=not after)

    def count(self, lookup: str) -> int:
        return self.ask(f"User.objects.filter({lookup}).count()")

    def newest(self) -> int:
        return self.ask("User.objects.latest('pk').pk")

    def ask(self, expression: str) -> int:
        script = f"from apps.users.models import User; print({expression})"
        command = ("shell", "--no-imports", "-c", script)
        return int(self.project.manage(*command, env=self.env).stdout)

    def add_user_in_the_admin(
        self, server: Server, email: str, request_id: str
    ) -> Answer:
        """Fill in the form as a browser does; return the answer to it."""
        session = f"__Host-sessionid={self.session}"
        form = server.get("/admin/users/user/add/", Cookie=session)
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
            "Cookie": f"{session}; {cookie}",
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


def assert_health(queue: Queue, process: Process) -> None:
    """Check that a process is healthy while it runs, and only then."""
    process.wait_for(lambda: is_healthy(queue, process), 30, "a first sign of life")
    make_old(queue)
    process.wait_for(lambda: is_healthy(queue, process), 30, "another one")
    process.send_signal(signal.SIGSTOP)
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(") ")[2][0] == "T", 10, "the stop")
    make_old(queue)
    assert not is_healthy(queue, process)
    process.send_signal(signal.SIGCONT)
    process.wait_for(lambda: is_healthy(queue, process), 30, "life again")


def is_healthy(queue: Queue, process: Process) -> bool:
    """Run the command that the guide has for a process."""
    guide = (queue.project.path / "docs" / "operations.md").read_text()
    name = process.name if process.name == "beat" else queue.command[-1]
    name = "db_worker" if queue.name == "database" else name
    (command,) = re.findall(
        rf"^docker run … --health-cmd '(.*?)' .* {name}$", guide, re.M
    )
    command = command.replace("/tmp/heartbeat", queue.env["HEARTBEAT_FILE"])
    return subprocess.run(["sh", "-c", command], check=False).returncode == 0


def make_old(queue: Queue) -> None:
    """Let it be an hour since the last sign of life."""
    hour_ago = time.time() - 3600
    os.utime(queue.env["HEARTBEAT_FILE"], (hour_ago, hour_ago))


def json_lines(process: Process) -> list[dict]:
    texts = process.log.splitlines()
    lines = [
        json.loads(text) for text in texts if not CELERY_ON_A_SIGNAL.fullmatch(text)
    ]
    keys = {"timestamp", "level", "logger", "message"}
    assert all(keys <= line.keys() for line in lines)
    return lines


@pytest.fixture(scope="module")
def projects(tmp_path_factory, services):
    """Return a function that makes a project for a kind of queue on its first use."""
    made: dict[str, tuple[Project, dict[str, str], str]] = {}

    def get(answers: dict[str, str]) -> tuple[Project, dict[str, str], str]:
        kind = answers["task_queue"]
        if kind not in made:
            project = Project.bake(tmp_path_factory.mktemp(kind), **answers)
            project.sync()
            env = production_environment(project.answers, services)
            project.manage("collectstatic", "--noinput", env=env)
            project.manage("migrate", env=env)
            signed_in = project.manage("shell", "--no-imports", "-c", SIGN_IN, env=env)
            made[kind] = project, env, signed_in.stdout.strip()
        return made[kind]

    return get


@pytest.fixture
def queue(request, projects, services, tmp_path) -> Iterator[Queue]:
    is_database = request.param == "database"
    project, env, session = projects(DATABASE if is_database else CELERY)
    broker = getattr(services, request.param, None)
    (project.path / "server.log").unlink(missing_ok=True)  # of the previous test
    with Mailbox(tmp_path / "mail") as smtp:
        env = env | {
            "EMAIL_URL": f"smtp://127.0.0.1:{smtp.port}",
            "HEARTBEAT_FILE": str(tmp_path / "heartbeat"),
        }
        if request.param == "rabbitmq":
            env["CELERY_BROKER_URL"] = broker.url
        yield Queue(request.param, project, env, session, smtp, broker)
        smtp.release()
