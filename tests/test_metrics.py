"""Served projects, watched by a real Prometheus and by a receiver of OTLP, while workers and clients come and go."""

import json
import os
import re
import shutil
import signal
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.bakery import (
    CHOICES,
    Project,
    clean_environment,
    production_environment,
    run,
)
from tests.services import BlackHole, Process, Prometheus, free_port, wait_until
from tests.services.process import HOST, accepts, find_program
from tests.serving import serve

SESSION = "s3cretsessionkey0123456789abcdef"
# What a worker adds to the size of the server.
CAPACITY = {"wsgi": ("django_http_threads", 4), "asgi": ("django_http_workers", 1)}
CLIENT = 3  # the kind of a span around a call to a server
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
    connection.cursor().execute("SELECT * FROM missing WHERE name = 's3cret' AND phone = 4917012345")
    return HttpResponse()


urlpatterns += [path("slow/", slow), path("fails/<str:token>/", fails)]
"""


def every_interface(metrics):
    """Each interface with these metrics, baked and served by one worker of the test run."""
    rows = [
        pytest.param(
            {"interface": interface, **answers},
            id=interface,
            marks=mark(f"{metrics} {interface}"),
        )
        for answers in [
            {"metrics": metrics}
            | ({"task_queue": "celery"} if metrics == "opentelemetry" else {})
        ]
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
    # Not with Sentry: its client writes a plain line where an event is still under way at the end.
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
def test_counts_are_exact_over_all_workers_whatever_becomes_of_them(
    project, env, tmp_path
):
    port = int(env["METRICS_PORT"])
    with (
        serve(project, env | {"WEB_CONCURRENCY": "3"}, tmp_path) as server,
        Prometheus(
            tmp_path / "prometheus", f"{HOST}:{port}", "my_project"
        ) as prometheus,
    ):

        def assert_size(number, without=()):
            """Wait until so many workers are up, all of them new."""
            name, each = CAPACITY[project.answers["interface"]]
            wait_until(
                lambda: len(workers() - set(without)) == len(workers()) == number,
                30,
                f"{number} workers",
            )
            wait_until(
                lambda: prometheus.query(name) == [each * number],
                10,
                f"{name} shows {number} workers",
            )

        def workers():
            return set(find_workers(server.process.pid))

        folder = find_folder(server.process.pid)
        assert_size(3)
        send(server, 120)
        assert_counts(prometheus, 120)
        busy = find_busy_workers(folder)
        assert len(busy) > 1, "one worker answered alone: nothing was added up"

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
        if project.answers["interface"] == "asgi":
            leave(server, 10)
            left = (
                'django_http_requests_total{view="apps.pages.urls.slow", status="499"}'
            )
            wait_until(lambda: prometheus.query(left) == [10], 10, "ten have left")
        wait_until(
            lambda: prometheus.query("django_http_requests_in_progress") == [0],
            10,
            "nothing is in progress",
        )

        assert server.get("/metrics").status == 404
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(
                ("127.0.0.2", port), timeout=5
            )  # HOST is 127.0.0.1
        views = {
            series["metric"]["view"]
            for series in prometheus.ask("query", query="django_http_requests_total")[
                "result"
            ]
        }
        assert views - {"apps.pages.urls.slow"} == {"home", "admin:index", "none"}
    assert not accepts(port)
    assert not folder.exists()
    assert [line for line in server.process.log.splitlines() if line[0] != "{"] == []


@every_interface("prometheus")
def test_what_a_killed_server_has_counted_is_not_counted_by_the_next(
    project, env, tmp_path
):
    with serve(project, env | {"WEB_CONCURRENCY": "1"}, tmp_path) as server:
        folder = find_folder(server.process.pid)
        assert server.get("/").status == 200
        assert (
            'django_http_requests_total{method="GET",status="200",view="home"} 1.0'
            in scrape(env)
        )
        os.killpg(server.process.pid, signal.SIGKILL)  # its workers as well
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
    expressions = [
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    ]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(
        dashboard["panels"]
    )
    with (
        serve(project, env, tmp_path) as server,
        Prometheus(
            tmp_path / "prometheus",
            f"{HOST}:{env['METRICS_PORT']}",
            "my_project",
            rules,
        ) as prometheus,
    ):
        for expression in expressions:
            wait_until(
                lambda expression=expression: (
                    send(server, 1),
                    server.get("/health/ready/"),
                    server.get("/admin/", Cookie=f"__Host-sessionid={SESSION}"),
                    prometheus.query(expression.replace("$__rate_interval", "1m")),
                )[-1],
                20,
                f"{expression} has data",
            )
        used = set(
            re.findall(r"\bdjango_\w+", rules.read_text() + " ".join(expressions))
        )
        assert used
        wait_until(
            lambda: used <= set(prometheus.ask("label/__name__/values")),
            10,
            f"all of {used} are scraped",
        )
        loaded = [
            rule["name"]
            for group in prometheus.ask("rules")["groups"]
            for rule in group["rules"]
        ]
        assert {
            "RequestsFail",
            "RequestsAreSlow",
            "ServerIsSaturated",
            "NoInstanceIsUp",
        } <= set(loaded)


@pytest.mark.parametrize("interface", CHOICES["interface"])
@pytest.mark.parametrize("database", CHOICES["database"])
def test_alerts_fire_when_they_should_and_only_then(
    bake, interface, database, tmp_path
):
    folder = (
        bake(interface=interface, database=database, metrics="prometheus").path
        / "deploy"
        / "prometheus"
    )
    promtool = find_program("promtool", "prometheus")
    run(promtool, "check", "rules", "alerts.yaml", cwd=folder)
    run(promtool, "test", "rules", "alerts_test.yaml", cwd=folder)

    # The tests of the alerts can fail: each alert that never fires is missed.
    rules = yaml.safe_load((folder / "alerts.yaml").read_text())
    (tmp_path / "alerts_test.yaml").write_text(
        (folder / "alerts_test.yaml").read_text()
    )
    for rule in rules["groups"][0]["rules"]:
        expression, rule["expr"] = rule["expr"], "vector(0) > 1"
        (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
        assert run(
            promtool, "test", "rules", "alerts_test.yaml", cwd=tmp_path, check=False
        ).returncode, rule["alert"]
        rule["expr"] = expression


@every_interface("prometheus")
def test_a_port_that_is_taken_ends_the_start_and_leaves_nothing(project, env):
    before = set(Path("/dev/shm").iterdir())
    with Process(
        ["python3", "-m", "http.server", "--bind", HOST, env["METRICS_PORT"]],
        project.path.parent,
    ) as other:
        other.wait_for(
            lambda: accepts(int(env["METRICS_PORT"])), 10, "the port is taken"
        )
        result = project.execute(
            "python",
            "-m",
            "config.serve",
            env=env | {"HOST": HOST, "PORT": str(free_port())},
            check=False,
        )
    assert result.returncode
    assert "Address already in use" in result.stdout + result.stderr
    assert not [
        path
        for path in set(Path("/dev/shm").iterdir()) - before
        if "metrics" in path.name
    ]


@every_interface("opentelemetry")
def test_spans_and_metrics_arrive_and_lead_to_the_log(project, env, services, tmp_path):
    services.otlp.clear()
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
        wait_until(
            lambda: len(find_spans(services.otlp, "GET")) == 1,
            10,
            "the last span arrives",
        )
        wait_until(
            lambda: metric_names(services.otlp) >= METRICS, 10, "the metrics arrive"
        )
        wait_until(
            lambda: (server.get("/robots.txt"), len(instances(services.otlp)))[1] == 2,
            20,
            "each counts for itself",
        )

    [(resource, span, attributes)] = find_spans(services.otlp, "GET /admin/")
    assert resource["service.name"] == "shop"
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 302,
        "http.route": "/admin/",
        "url.scheme": "http",
    }
    children = [
        (query.name, found)
        for _, query, found in services.otlp.spans()
        if query.parent_span_id == span.span_id
    ]
    assert ("GET", {"db.query.text": "GET ?", "db.system.name": "redis"}) in children
    texts = [
        found.get("db.query.text", "")
        for _, found in children
        if found["db.system.name"] == "postgresql"
    ]
    assert [text for text in texts if "django_session" in text]
    [(_, failed, attributes)] = find_spans(services.otlp, "GET /fails/<str:token>/")
    assert (
        failed.status.code,
        failed.status.message,
        attributes["http.response.status_code"],
    ) == (2, "", 500)

    lines = [json.loads(line) for line in server.process.log.splitlines()]
    (access,) = [
        line
        for line in lines
        if line["logger"] == "access" and line["path"] == "/admin/"
    ]
    assert access["trace_id"] == span.trace_id.hex()
    assert access["request_id"] == page.headers["X-Request-ID"]
    secrets = [
        b"t0psecret",
        SESSION.encode(),
        b"203.0.113.9",
        b"s3cret",
        b"t0ken",
        b"4917012345",
        b"made-up-by-a-client",
    ]
    for secret in [*secrets, b"/health/", b"shop.test", b"127.0.0.1", b"missing"]:
        assert not any(secret in body for body in services.otlp.bodies), secret
    values = {
        item.value.string_value
        for _, metric in services.otlp.metrics()
        for item in labels(metric)
    }
    known = {
        "",
        "500",
        "GET",
        "SELECT",
        "http",
        "postgresql",
    }  # "500" is the kind of error
    assert values <= known | {name for name in values if name.endswith("Table")}


@every_interface("opentelemetry")
def test_one_request_in_ten_is_sampled_unless_its_caller_has_decided(
    project, env, services, tmp_path
):
    services.otlp.clear()
    environment = {
        name: value for name, value in env.items() if name != "OTEL_TRACES_SAMPLER_ARG"
    }
    trace = "0af7651916cd43dd8448eb211c80319c"
    with serve(project, environment | {"WEB_CONCURRENCY": "1"}, tmp_path) as server:
        for _ in range(100):
            server.get("/robots.txt")
        server.get("/favicon.ico", traceparent=f"00-{trace}-b7ad6b7169203331-01")
    # The chance of none, or of more than forty, is below one in ten thousand.
    assert 1 <= len(find_spans(services.otlp, "GET /robots.txt")) <= 40
    [(_, span, _)] = find_spans(services.otlp, "GET /favicon.ico")
    assert span.trace_id.hex() == trace


@every_interface("opentelemetry")
def test_what_is_not_yet_sent_is_sent_when_the_server_stops_also_of_clients_that_left(
    project, env, services, tmp_path
):
    services.otlp.clear()
    slow = {
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_METRIC_EXPORT_INTERVAL": "600000",
    }
    with serve(project, env | slow, tmp_path) as server:
        server.get("/robots.txt")
        if project.answers["interface"] == "asgi":
            leave(server, 20)
        assert services.otlp.messages == []
    assert len(find_spans(services.otlp, "GET /robots.txt")) == 1
    assert len(find_spans(services.otlp, "GET")) == (
        20 if project.answers["interface"] == "asgi" else 0
    )
    assert not [
        line
        for line in server.process.log.splitlines()
        if '"ERROR"' in line or line[0] != "{"
    ]
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
                assert server.get("/robots.txt").status == 200
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 1
            stopping = time.monotonic()
        # Left to themselves the exporters may take half a minute each.
        assert time.monotonic() - stopping < 8
    assert server.process.returncode == 0
    assert [
        line
        for line in server.process.log.splitlines()
        if "opentelemetry" in line or line[0] != "{"
    ] == []


@every_interface("opentelemetry")
def test_a_trace_goes_on_in_a_task(project, env, services, tmp_path):
    services.otlp.clear()
    program = (
        "import django; django.setup()\n"
        "from core import tasks, telemetry\n"
        "from opentelemetry import trace\n"
        "telemetry.start()\n"
        "with trace.get_tracer('shop').start_as_current_span('own', attributes={'items': 3}):\n"
        "    tasks.clear_sessions.delay()\n"
        "telemetry.stop()\n"
    )
    worker = [
        project.path / ".venv/bin/celery",
        "--app",
        "config.celery",
        "--quiet",
        "worker",
        "--concurrency=1",
    ]
    environment = clean_environment() | env | {"OTEL_BSP_SCHEDULE_DELAY": "100"}
    with Process(worker, tmp_path, env=environment | {"PYTHONPATH": str(project.path)}):
        project.execute("python", "-c", program, env=env)
        wait_until(
            lambda: find_spans(services.otlp, "run/core.tasks.clear_sessions"),
            40,
            "the task's span arrives",
        )
    [(_, own, attributes)] = find_spans(services.otlp, "own")
    assert attributes == {"items": 3}
    [(_, task, attributes)] = find_spans(services.otlp, "run/core.tasks.clear_sessions")
    assert task.trace_id == own.trace_id
    assert attributes["celery.state"] == "SUCCESS"
    assert [
        span
        for _, span, _ in services.otlp.spans()
        if span.parent_span_id == task.span_id
    ]


@every_interface("opentelemetry")
def test_nothing_of_it_is_loaded_without_a_collector(project, env):
    """But the API, by which the log asks for the trace, and the SDK, which the client for Redis loads by itself."""
    program = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings.production';"
        "import gunicorn.app.wsgiapp as g; sys.argv = ['gunicorn'];"
        "app = g.WSGIApplication('%(prog)s'); app.wsgi(); app.cfg.post_worker_init(None);"
        "print([name for name in sys.modules if name == 'core.telemetry'"
        " or name.startswith(('opentelemetry.exporter', 'opentelemetry.instrumentation'))])"
    )
    without = {
        name: value for name, value in env.items() if not name.startswith("OTEL_")
    }
    result = run(
        project.path / ".venv" / "bin" / "python",
        "-c",
        program,
        cwd=project.path,
        env=clean_environment() | without,
    )
    assert result.stdout.splitlines()[-1] == "[]"


def send(server, times):
    """Ask for three things, each a third of the times or once, from several clients at once."""
    paths = ["/", "/admin/", f"/made/up/{times}"] * max(1, times // 3)
    with ThreadPoolExecutor(8) as clients:
        assert {answer.status for answer in clients.map(server.get, paths)} == {
            200,
            302,
            404,
        }


def leave(server, times):
    """Ask for a slow page as so many clients, who leave when all are being served."""
    request = (
        b"GET /slow/ HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: https\r\n\r\n"
    )
    with ExitStack() as clients:
        for _ in range(times):
            client = clients.enter_context(
                socket.create_connection((HOST, int(server.url.rpartition(":")[2])))
            )
            client.sendall(request)
        wait_until(
            lambda: server.process.log.count("a slow request begins") == times,
            20,
            "all are being served",
        )
    wait_until(
        lambda: server.process.log.count('"status": 499') == times, 20, "all have left"
    )


def assert_counts(prometheus, times):
    counts = {
        ("home", 200): times // 3,
        ("admin:index", 302): times // 3,
        ("none", 404): times // 3,
    }
    for name in (
        "django_http_requests_total",
        "django_http_request_duration_seconds_count",
    ):
        for (view, status), count in counts.items():
            expression = f'{name}{{view="{view}", status="{status}", method="GET"}}'
            wait_until(
                lambda e=expression, c=count: prometheus.query(e) == [c],
                10,
                f"{expression} is {count}",
            )


def scrape(env) -> str:
    with urllib.request.urlopen(
        f"http://{HOST}:{env['METRICS_PORT']}/metrics", timeout=10
    ) as answer:
        return answer.read().decode()


def find_folder(master: int) -> Path:
    """Where the workers of this server count."""
    (file,) = Path("/dev/shm").glob(f"my_project-metrics-*/gauge_livesum_{master}.db")
    return file.parent


def find_workers(master: int) -> list[int]:
    return [
        int(number)
        for number in Path(f"/proc/{master}/task/{master}/children").read_text().split()
    ]


def find_busy_workers(folder) -> list[int]:
    """The process ids of the workers that have answered a request."""
    return [
        int(number[1])
        for path in folder.iterdir()
        if (number := re.fullmatch(r"histogram_(\d+)\.db", path.name))
    ]


def find_spans(otlp, name):
    """The spans that begin a trace here, or are tasks, or our own, by name."""
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
