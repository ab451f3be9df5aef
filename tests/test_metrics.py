"""Metrics and traces of served projects, with Prometheus and with an OTLP receiver."""

import json
import os
import re
import shutil
import signal
import socket
import textwrap
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import yaml

from tests.bakery import (
    CHOICES,
    Project,
    clean_environment,
    describe,
    production_environment,
    run,
)
from tests.services import (
    BlackHole,
    Mailbox,
    Process,
    Prometheus,
    RabbitMQ,
    Redis,
    free_port,
    wait_until,
)
from tests.services.process import HOST, accepts, find_program
from tests.serving import serve

SESSION = "s3cretsessionkey0123456789abcdef"
# The metric of the server's size, and what a worker adds to it.
CAPACITY = {"wsgi": ("django_http_threads", 4), "asgi": ("django_http_workers", 1)}
CLIENT = 3  # the kind of a span around a call to another server
METRICS = {
    "http.server.request.duration",
    "http.server.active_requests",
    "db.client.operation.duration",
}
SLOW_VIEWS = """
import asyncio
import logging

from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse


async def slow(request: HttpRequest) -> HttpResponse:
    logging.getLogger("slow").info("a slow request begins")
    await Session.objects.acount()
    await asyncio.sleep(60)
    return HttpResponse()


def fails(request: HttpRequest) -> HttpResponse:
    query = "SELECT * FROM missing WHERE name = 's3cret' AND phone = 4917012345"
    connection.cursor().execute(query)
    return HttpResponse()


urlpatterns += [path("slow/", slow), path("fails/<str:token>/", fails)]
"""
TRACE_TASK = """
import django
django.setup()
from core import tasks, telemetry
from opentelemetry import trace
telemetry.start()
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("own", attributes={"items": 3}):
    tasks.clear_sessions.delay()
telemetry.stop()
"""
# Three welcome mails, one of them because of the new user, and two tasks that fail.
ENQUEUE = """
from apps.users.models import User
from apps.users.tasks import send_welcome_mail
user = User.objects.create(username="ada", email="ada@shop.test")
for pk in (user.pk, user.pk, "x", "y"):
    send_welcome_mail.delay(pk)
"""
LIST_MODULES = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.production"
import gunicorn.app.wsgiapp
sys.argv = ["gunicorn"]
app = gunicorn.app.wsgiapp.WSGIApplication("%(prog)s")
app.wsgi()
app.cfg.post_worker_init(None)
parts = ("opentelemetry.exporter", "opentelemetry.instrumentation")
ours = [name for name in sys.modules if name == "core.telemetry"]
print(ours + [name for name in sys.modules if name.startswith(parts)])
"""


def every_interface(metrics):
    """Parametrize the project with these metrics and each interface.

    Each has a name of its own: the projects of other tests, which may run at the same
    moment, keep their counts in the same folder.
    """
    answers = {"metrics": metrics, "task_queue": "celery"}
    rows = [
        pytest.param(
            {
                "interface": interface,
                "project_slug": f"measured_{interface}",
                **answers,
            },
            id=interface,
            marks=mark(f"{metrics} {interface}"),
        )
        for interface in CHOICES["interface"]
    ]
    return pytest.mark.parametrize("project", rows, indirect=True, scope="module")


def mark(group):
    return pytest.mark.xdist_group(group)


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp("project"), **request.param)
    urls = project.path / "apps" / "pages" / "urls.py"
    urls.write_text(urls.read_text() + SLOW_VIEWS)
    project.sync()
    return project


@pytest.fixture(scope="module")
def env(project, services) -> dict[str, str]:
    # Without Sentry, whose client writes a plain line if it still sends at the end.
    env = production_environment(project.answers, services) | {"SENTRY_DSN": ""}
    project.manage("collectstatic", "--noinput", env=env)
    project.manage("migrate", env=env)
    return env


@pytest.fixture(autouse=True)
def new_log(request) -> None:
    if "project" in request.fixturenames:
        log = request.getfixturevalue("project").path / "server.log"
        log.unlink(missing_ok=True)


@every_interface("prometheus")
def test_counts_are_exact_over_all_workers_after_kills_and_reloads(
    project, env, tmp_path
):
    port, data = int(env["METRICS_PORT"]), tmp_path / "prometheus"
    with (
        serve(project, env | {"WEB_CONCURRENCY": "3"}, tmp_path) as server,
        Prometheus(data, f"{HOST}:{port}", find_slug(project)) as prometheus,
    ):

        def assert_size(number, without=()):
            """Wait until this many workers are up, none of them an old one."""
            name, each = CAPACITY[project.answers["interface"]]

            def are_up():
                return len(workers() - set(without)) == len(workers()) == number

            wait_until(are_up, 30, f"{number} workers")
            what = f"{name} shows {number} workers"
            wait_until(lambda: prometheus.query(name) == [each * number], 10, what)

        def workers():
            return set(find_workers(server.process.pid))

        folder = find_folder(server.process.pid)
        assert_size(3)
        # What a worker that was killed at once leaves behind.
        (folder / "counter_1.db").touch()
        send(server, 120)
        assert_counts(prometheus, 120)
        busy = find_busy_workers(folder)
        assert len(busy) > 1, "one worker answered all requests: there is no sum"

        os.kill(busy[0], signal.SIGKILL)
        assert_size(3, without=busy[:1])
        assert_counts(prometheus, 120)
        send(server, 60)
        assert_counts(prometheus, 180)

        server.process.send_signal(signal.SIGTTIN)
        assert_size(4)
        server.process.send_signal(signal.SIGTTOU)
        assert_size(3)
        old = workers()
        server.process.send_signal(signal.SIGHUP)
        assert_size(3, without=old)
        send(server, 60)
        assert_counts(prometheus, 240)
        total = "django_http_requests_total"
        slow = "apps.pages.urls.slow"
        if project.answers["interface"] == "asgi":
            leave(server, 10)
            left = f'{total}{{view="{slow}", status="499"}}'
            wait_until(lambda: prometheus.query(left) == [10], 10, "ten have left")
        running = "django_http_requests_in_progress"
        what = "nothing is in progress"
        wait_until(lambda: prometheus.query(running) == [0], 10, what)

        assert server.get("/metrics").status == 404
        # HOST is 127.0.0.1.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        result = prometheus.ask("query", query=total)["result"]
        views = {series["metric"]["view"] for series in result}
        assert views - {slow} == {"home", "admin:index", "none"}
    assert not accepts(port)
    assert not folder.exists()
    assert [line for line in server.process.log.splitlines() if line[0] != "{"] == []


@every_interface("prometheus")
def test_a_new_server_does_not_keep_the_counts_of_a_killed_one(project, env, tmp_path):
    with serve(project, env | {"WEB_CONCURRENCY": "1"}, tmp_path) as server:
        folder = find_folder(server.process.pid)
        assert server.get("/").status == 200
        labels_of_home = '{method="GET",status="200",view="home"}'
        assert f"django_http_requests_total{labels_of_home} 1.0" in scrape(env)
        os.killpg(server.process.pid, signal.SIGKILL)  # with its workers
        wait_until(lambda: not accepts(int(env["METRICS_PORT"])), 10, "it has ended")
    assert folder.exists()
    with serve(project, env | {"WEB_CONCURRENCY": "1"}, tmp_path) as server:
        assert find_folder(server.process.pid) != folder
        assert "django_http_requests_in_progress 0.0" in scrape(env)
        assert "django_http_requests_total{" not in scrape(env)
    shutil.rmtree(folder)


@every_interface("prometheus")
def test_every_metric_of_the_dashboard_and_the_alerts_is_scraped(
    project, env, tmp_path
):
    deploy = project.path / "deploy"
    rules = deploy / "prometheus" / "alerts.yaml"
    dashboard = json.loads((deploy / "grafana" / "dashboard.json").read_text())
    panels = dashboard["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len({panel["id"] for panel in panels}) == len(panels)
    marks = tmp_path / "marks"
    marks.mkdir()
    (marks / "backup").touch()
    env = env | {"BACKUP_MARKS": str(marks)}
    data, target = tmp_path / "prometheus", f"{HOST}:{env['METRICS_PORT']}"
    prometheus = Prometheus(data, target, find_slug(project), rules)
    of_worker = env | {"METRICS_PORT": str(free_port())}
    prometheus.scrape(
        f"{HOST}:{of_worker['METRICS_PORT']}", f"{find_slug(project)}_worker"
    )
    with (
        serve(project, env, tmp_path) as server,
        work(project, of_worker, tmp_path),
        prometheus,
    ):

        def has_data(expression):
            send(server, 1)
            server.get("/health/ready/")
            server.get("/admin/", Cookie=f"__Host-sessionid={SESSION}")
            return prometheus.query(expression.replace("$__rate_interval", "1m"))

        for expression in expressions:
            wait_until(partial(has_data, expression), 20, f"{expression} has data")
        text = rules.read_text() + " ".join(expressions)
        used = set(re.findall(r"\bdjango_\w+", text))
        assert used
        names = partial(prometheus.ask, "label/__name__/values")
        wait_until(lambda: used <= set(names()), 10, f"all of {used} are scraped")
        groups = prometheus.ask("rules")["groups"]
        loaded = {rule["name"] for group in groups for rule in group["rules"]}
        assert {"RequestsFail", "RequestsAreSlow"} <= loaded
        assert {"ServerIsSaturated", "NoInstanceIsUp"} <= loaded
        assert {"WorkersDown", "QueueGrows", "TasksFail"} <= loaded


@pytest.mark.parametrize(
    "answers",
    [
        {"interface": "asgi", "database": "postgresql", "task_queue": "celery"},
        {"interface": "wsgi", "database": "postgresql", "task_queue": "celery"},
        {"interface": "asgi", "database": "mysql"},
        {"interface": "wsgi", "database": "sqlite"},
    ],
    ids=describe,
)
def test_alerts_fire_when_they_should_and_only_then(bake, answers, tmp_path):
    project = bake(metrics="prometheus", **answers)
    folder = project.path / "deploy" / "prometheus"
    promtool = find_program("promtool", "prometheus")
    test = (promtool, "test", "rules", "alerts_test.yaml")
    run(promtool, "check", "rules", "alerts.yaml", cwd=folder)
    run(*test, cwd=folder)

    # The tests of the alerts fail for each alert that never fires, or always does.
    rules = yaml.safe_load((folder / "alerts.yaml").read_text())
    shutil.copy(folder / "alerts_test.yaml", tmp_path)
    for rule, wrong in product(rules["groups"][0]["rules"], ("vector(0) > 1", "up")):
        expression, rule["expr"] = rule["expr"], wrong
        (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
        assert run(*test, cwd=tmp_path, check=False).returncode, (rule["alert"], wrong)
        rule["expr"] = expression


@every_interface("prometheus")
def test_a_scrape_shows_what_readiness_found_and_the_release(project, env, tmp_path):
    away = f"postgresql://shop:secret@{HOST}:{free_port()}/shop"
    env = env | {"DATABASE_URL": away, "RELEASE": "4f2a"}
    with serve(project, env, tmp_path) as server:
        assert server.get("/health/ready/").status == 503
        lines = scrape(env).splitlines()
        assert 'django_ready{check="database"} 0.0' in lines
        assert 'django_ready{check="cache"} 1.0' in lines
        assert 'django_build_info{release="4f2a"} 1.0' in lines
    log = [json.loads(line) for line in server.process.log.splitlines()]
    (start,) = [line for line in log if line["message"].startswith("Starting gunicorn")]
    assert start["release"] == "4f2a"


def test_the_configuration_in_the_guide_is_valid(bake, tmp_path):
    project = bake(metrics="prometheus", task_queue="celery")
    guide = (project.path / "docs" / "operations.md").read_text()
    (block,) = re.findall(r"```yaml\n( +rule_files:.*?)```", guide, re.DOTALL)
    (tmp_path / "prometheus.yaml").write_text(textwrap.dedent(block))
    shutil.copy(project.path / "deploy" / "prometheus" / "alerts.yaml", tmp_path)
    promtool = find_program("promtool", "prometheus")
    run(promtool, "check", "config", "prometheus.yaml", cwd=tmp_path)
    jobs = yaml.safe_load(block)["scrape_configs"]
    names = [job["job_name"] for job in jobs if job["dns_sd_configs"]]
    assert names == ["my_project", "my_project_worker"]


@every_interface("prometheus")
def test_a_worker_counts_its_tasks_and_those_that_wait(project, env, tmp_path):
    kind = Redis if project.answers["interface"] == "wsgi" else RabbitMQ
    task = 'task="apps.users.tasks.send_welcome_mail"'
    with Mailbox(tmp_path / "mail") as smtp, kind(tmp_path / "broker") as broker:
        env = env | {
            "CELERY_BROKER_URL": broker.url,
            "EMAIL_URL": f"smtp://{HOST}:{smtp.port}",
            "METRICS_PORT": str(free_port()),
            "RELEASE": "4f2a",
        }
        with work(project, env, tmp_path) as worker:

            def has(line):
                worker.wait_for(lambda: f"{line}\n" in scrape(env), 20, line)

            has(f'django_tasks_total{{state="failure",{task}}} 0.0')
            has('django_tasks_waiting{queue="celery"} 0.0')
            has('django_build_info{release="4f2a"} 1.0')
            smtp.hold()
            project.manage("shell", "--no-imports", "-c", ENQUEUE, env=env)
            worker.wait_for(smtp.arrived.is_set, 20, "a task to run")
            has('django_tasks_waiting{queue="celery"} 4.0')
            smtp.release()
            has(f'django_tasks_total{{state="success",{task}}} 3.0')
            has(f'django_tasks_total{{state="failure",{task}}} 2.0')
            has(f"django_task_duration_seconds_count{{{task}}} 3.0")
            broker.stop()
            worker.wait_for(lambda: "_waiting{" not in scrape(env), 20, "no answer")
            broker.start()
            has('django_tasks_waiting{queue="celery"} 0.0')
    assert not accepts(int(env["METRICS_PORT"]))


@every_interface("prometheus")
def test_a_shared_memory_that_is_too_small_stays_unused(project, env, tmp_path):
    # Docker gives 64 MiB. With this little the first request killed its worker.
    script = 'mount -t tmpfs -o size=24k tmpfs /dev/shm && exec "$@"'
    wrapper = [find_program("unshare", "util-linux"), "--mount"]
    if os.geteuid():
        wrapper.append("--map-root-user")
    env = env | {"TMPDIR": str(tmp_path)}
    with serve(project, env, tmp_path, *wrapper, "sh", "-c", script, "sh") as server:
        send(server, 60)
        assert list(tmp_path.glob(f"{find_slug(project)}-metrics-*/counter_*.db"))
    assert "SIGBUS" not in server.process.log


@every_interface("prometheus")
def test_a_port_that_is_taken_ends_the_start_and_leaves_nothing(project, env):
    port = env["METRICS_PORT"]
    command = ["python3", "-m", "http.server", "--bind", HOST, port]
    with Process(command, project.path.parent) as other:
        other.wait_for(lambda: accepts(int(port)), 10, "the port is in use")
        address = {"HOST": HOST, "PORT": str(free_port())}
        start = ("python", "-m", "config.serve")
        result = project.execute(*start, env=env | address, check=False)
    assert result.returncode
    assert "Address already in use" in result.stdout + result.stderr
    assert not list(Path("/dev/shm").glob(f"{find_slug(project)}-metrics-*"))


@every_interface("opentelemetry")
def test_spans_and_metrics_arrive_and_lead_to_the_log(project, env, services, tmp_path):
    otlp = services.otlp
    otlp.clear()
    fast = {
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_SERVICE_NAME": "shop",
    }
    with serve(project, env | fast, tmp_path) as server:
        headers = {
            "Cookie": f"__Host-sessionid={SESSION}",
            "X-Forwarded-For": "203.0.113.9",
            "User-Agent": "s3cret/1",
        }
        page = server.get("/admin/?token=t0psecret", **headers)
        assert page.status == 302
        assert server.get("/fails/t0ken/", **headers).status == 500
        assert server.get("/made-up-by-a-client/").status == 404
        assert server.get("/health/live/", Host="anything.test").status == 200

        def both_workers_export():
            server.get("/.well-known/security.txt")
            return len(instances(otlp)) == 2

        what = "the last span arrives"
        wait_until(lambda: len(find_spans(otlp, "GET")) == 1, 10, what)
        wait_until(lambda: metric_names(otlp) >= METRICS, 10, "the metrics arrive")
        wait_until(both_workers_export, 20, "each worker exports its own metrics")

    [(resource, span, attributes)] = find_spans(otlp, "GET /admin/")
    assert resource["service.name"] == "shop"
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 302,
        "http.route": "/admin/",
        "url.scheme": "http",
    }
    children = [
        (query.name, found)
        for _, query, found in otlp.spans()
        if query.parent_span_id == span.span_id
    ]
    assert ("GET", {"db.query.text": "GET ?", "db.system.name": "redis"}) in children
    texts = [
        found.get("db.query.text", "")
        for _, found in children
        if found["db.system.name"] == "postgresql"
    ]
    assert [text for text in texts if "django_session" in text]
    [(_, failed, attributes)] = find_spans(otlp, "GET /fails/<str:token>/")
    assert (failed.status.code, failed.status.message) == (2, "")
    assert attributes["http.response.status_code"] == 500

    lines = [json.loads(line) for line in server.process.log.splitlines()]
    accesses = [line for line in lines if line["logger"] == "access"]
    (access,) = [line for line in accesses if line["path"] == "/admin/"]
    assert access["trace_id"] == span.trace_id.hex()
    assert access["request_id"] == page.headers["X-Request-ID"]
    secrets = f"""
        t0psecret {SESSION} 203.0.113.9 s3cret t0ken 4917012345 made-up-by-a-client
        /health/ shop.test 127.0.0.1 missing
    """.split()
    for secret in secrets:
        assert not any(secret.encode() in body for body in otlp.bodies), secret
    values = {
        item.value.string_value
        for _, metric in otlp.metrics()
        for item in labels(metric)
    }
    known = {"", "500", "GET", "SELECT", "http", "postgresql"}  # "500": the error type
    assert values <= known | {name for name in values if name.endswith("Table")}


@every_interface("opentelemetry")
def test_one_request_in_ten_is_sampled_unless_its_caller_has_decided(
    project, env, services, tmp_path
):
    services.otlp.clear()
    environment = env | {"WEB_CONCURRENCY": "1"}
    del environment["OTEL_TRACES_SAMPLER_ARG"]
    trace = "0af7651916cd43dd8448eb211c80319c"
    with serve(project, environment, tmp_path) as server:
        for _ in range(100):
            server.get("/.well-known/security.txt")
        server.get("/", traceparent=f"00-{trace}-b7ad6b7169203331-01")
    # The probability of none, or of more than forty, is below one in ten thousand.
    assert 1 <= len(find_spans(services.otlp, "GET /.well-known/security.txt")) <= 40
    [(_, span, _)] = find_spans(services.otlp, "GET /")
    assert span.trace_id.hex() == trace


@every_interface("opentelemetry")
def test_a_stop_sends_the_rest_with_the_requests_of_clients_that_left(
    project, env, services, tmp_path
):
    services.otlp.clear()
    slow = {
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_METRIC_EXPORT_INTERVAL": "600000",
    }
    clients = 20 if project.answers["interface"] == "asgi" else 0
    with serve(project, env | slow, tmp_path) as server:
        server.get("/.well-known/security.txt")
        if clients:
            leave(server, clients)
        assert services.otlp.messages == []
    assert len(find_spans(services.otlp, "GET /.well-known/security.txt")) == 1
    assert len(find_spans(services.otlp, "GET /slow/")) == clients
    lines = server.process.log.splitlines()
    assert not [line for line in lines if '"ERROR"' in line or line[0] != "{"]
    assert "http.server.request.duration" in metric_names(services.otlp)


@every_interface("opentelemetry")
@pytest.mark.parametrize("collector", ["refuses", "swallows"])
def test_a_collector_that_cannot_be_reached_slows_nothing_and_fills_no_log(
    project, env, tmp_path, collector
):
    with BlackHole() as hole:
        port = hole.port if collector == "swallows" else free_port()
        often = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "WEB_CONCURRENCY": "1",
        }
        with serve(project, env | often, tmp_path) as server:
            slowest = 0.0
            ends = time.monotonic() + 4  # exports begin and fail in this time
            while time.monotonic() < ends:
                began = time.monotonic()
                assert server.get("/.well-known/security.txt").status == 200
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 1
            stopping = time.monotonic()
        # By default each exporter may take half a minute.
        assert time.monotonic() - stopping < 8
    assert server.process.returncode == 0
    lines = server.process.log.splitlines()
    assert not [line for line in lines if "opentelemetry" in line or line[0] != "{"]


@every_interface("opentelemetry")
def test_a_trace_goes_on_in_a_task(project, env, services, tmp_path):
    otlp = services.otlp
    otlp.clear()
    program = project.path / ".venv" / "bin" / "celery"
    options = "--app config.celery --quiet worker --concurrency=1"
    environment = clean_environment() | env
    environment["OTEL_BSP_SCHEDULE_DELAY"] = "100"
    environment["PYTHONPATH"] = str(project.path)
    name = "run/core.tasks.clear_sessions"
    with Process([program, *options.split()], tmp_path, env=environment):
        project.execute("python", "-c", TRACE_TASK, env=env)
        wait_until(lambda: find_spans(otlp, name), 40, "the task's span arrives")
    [(_, own, attributes)] = find_spans(otlp, "own")
    assert attributes == {"items": 3}
    [(_, task, attributes)] = find_spans(otlp, name)
    assert task.trace_id == own.trace_id
    assert attributes["celery.state"] == "SUCCESS"
    assert task.span_id in [span.parent_span_id for _, span, _ in otlp.spans()]


@every_interface("opentelemetry")
def test_no_exporter_or_instrumentation_is_loaded_without_a_collector(project, env):
    """The log needs OpenTelemetry's API, and the client for Redis loads its SDK."""
    without = {name: env[name] for name in env if not name.startswith("OTEL_")}
    python = project.path / ".venv" / "bin" / "python"
    environment = clean_environment() | without
    result = run(python, "-c", LIST_MODULES, cwd=project.path, env=environment)
    assert result.stdout.splitlines()[-1] == "[]"


def send(server, times):
    """Send a third of the requests, or one, to each path, from several clients."""
    paths = ["/", "/admin/", f"/made/up/{times}"] * max(1, times // 3)
    with ThreadPoolExecutor(8) as clients:
        statuses = {answer.status for answer in clients.map(server.get, paths)}
    assert statuses == {200, 302, 404}


def leave(server, times):
    """Request a slow page from several clients, which then disconnect."""
    request = (
        b"GET /slow/ HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: https\r\n\r\n"
    )
    address = (HOST, int(server.url.rpartition(":")[2]))

    def is_logged(text):
        return server.process.log.count(text) == times

    with ExitStack() as clients:
        for _ in range(times):
            client = clients.enter_context(socket.create_connection(address))
            client.sendall(request)
        wait_until(lambda: is_logged("a slow request begins"), 20, "all are served")
    wait_until(lambda: is_logged('"status": 499'), 20, "all have left")


def assert_counts(prometheus, times):
    total = "django_http_requests_total"
    durations = "django_http_request_duration_seconds_count"
    for name in (total, durations):
        for view, status in (("home", 200), ("admin:index", 302), ("none", 404)):
            expression = f'{name}{{view="{view}", status="{status}", method="GET"}}'
            wait_until(
                lambda expression=expression: (
                    prometheus.query(expression) == [times // 3]
                ),
                10,
                f"{expression} is {times // 3}",
            )


@contextmanager
def work(project, env, folder):
    """Start a worker that runs one task at a time."""
    program = project.path / ".venv" / "bin" / "celery"
    options = "--app config.celery --quiet worker --concurrency=1"
    env = clean_environment() | env | {"PYTHONPATH": str(project.path), "HOST": HOST}
    with Process([program, *options.split()], folder, name="worker", env=env) as worker:
        worker.wait_for(lambda: accepts(int(env["METRICS_PORT"])), 30, "it answers")
        yield worker


def scrape(env) -> str:
    url = f"http://{HOST}:{env['METRICS_PORT']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def find_slug(project) -> str:
    return project.answers["project_slug"]


def find_folder(master: int) -> Path:
    """Return the folder to which the workers of this server write their counts."""
    (file,) = Path("/dev/shm").glob(f"measured_*-metrics-*/gauge_livesum_{master}.db")
    return file.parent


def find_workers(master: int) -> list[int]:
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(number) for number in children.split()]


def find_busy_workers(folder) -> list[int]:
    """Return the ids of the workers that have answered a request."""
    return [
        int(number[1])
        for path in folder.iterdir()
        if (number := re.fullmatch(r"histogram_(\d+)\.db", path.name))
    ]


def find_spans(otlp, name):
    """Return the spans with a name, except those of calls to other servers."""
    return [
        found
        for found in otlp.spans()
        if found[1].name == name and found[1].kind != CLIENT
    ]


def metric_names(otlp) -> set[str]:
    return {metric.name for _, metric in otlp.metrics()}


def labels(metric):
    points = metric.histogram.data_points or metric.sum.data_points
    return [item for point in points for item in point.attributes]


def instances(otlp) -> set[str]:
    return {resource["service.instance.id"] for resource, _ in otlp.metrics()}
