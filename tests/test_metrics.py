"""Served projects, watched by a real Prometheus and by a receiver of OTLP, while their workers come and go."""

import json
import os
import re
import signal
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.bakery import CHOICES, Project, clean_environment, production_environment, run
from tests.services import BlackHole, Process, Prometheus, free_port, wait_until
from tests.services.process import HOST, accepts, find_program
from tests.serving import serve

SESSION = "s3cretsessionkey0123456789abcdef"


def every_interface(metrics):
    """Each interface with these metrics, baked and served by one worker of the test run."""
    rows = [
        pytest.param({"interface": interface, "metrics": metrics}, id=interface, marks=mark(f"{metrics} {interface}"))
        for interface in CHOICES["interface"]
    ]
    return pytest.mark.parametrize("project", rows, indirect=True, scope="module")


def mark(group):
    return pytest.mark.xdist_group(group)


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp("project"), **request.param)
    project.sync()
    return project


@pytest.fixture(scope="module")
def env(project, services) -> dict[str, str]:
    env = production_environment(project.answers, services)
    project.manage("collectstatic", "--noinput", env=env)
    project.manage("migrate", env=env)
    return env


@pytest.fixture(autouse=True)
def new_log(request) -> None:
    if "project" in request.fixturenames:
        log = request.getfixturevalue("project").path / "server.log"
        log.unlink(missing_ok=True)


@every_interface("prometheus")
def test_counts_are_exact_over_all_workers_also_after_one_was_killed(project, env, tmp_path):
    port = env["METRICS_PORT"]
    with (
        # Not with Sentry: its client writes a plain line where an event is still under way at the end.
        serve(project, env | {"WEB_CONCURRENCY": "3", "SENTRY_DSN": ""}, tmp_path) as server,
        Prometheus(tmp_path / "prometheus", f"{HOST}:{port}", "my_project") as prometheus,
    ):
        folder = find_folder(server.process.pid)
        size = {"wsgi": ("django_http_threads", 12), "asgi": ("django_http_workers", 3)}[project.answers["interface"]]
        wait_until(lambda: prometheus.query(size[0]) == [size[1]], 20, "all workers are up")

        send(server, 120)
        assert_counts(prometheus, 120)
        busy = find_busy_workers(folder)
        assert len(busy) > 1, "one worker answered alone: nothing was added up"

        os.kill(busy[0], signal.SIGKILL)
        wait_until(lambda: not list(folder.glob(f"*_{busy[0]}.db")), 20, "the killed worker's files go")
        wait_until(lambda: server.process.log.count("Booting worker") == 4, 20, "another worker starts")
        wait_until(lambda: prometheus.query(size[0]) == [size[1]], 20, "it is up")
        assert_counts(prometheus, 120)
        send(server, 60)
        assert_counts(prometheus, 180)
        wait_until(lambda: prometheus.query("django_http_requests_in_progress") == [0], 10, "nothing is in progress")

        give_up_a_scrape(int(port))
        assert server.get("/metrics").status == 404
        assert server.get("/health/live/").status == 200
        views = {
            series["metric"]["view"] for series in prometheus.ask("query", query="django_http_requests_total")["result"]
        }
        assert views == {"home", "admin:index", "none"}
    assert not accepts(int(port))
    assert not folder.exists()
    assert [line for line in server.process.log.splitlines() if line[0] != "{"] == []
    lines = [json.loads(line) for line in server.process.log.splitlines()]
    assert {line["level"] for line in lines if "SIGKILL" not in line["message"]} == {"INFO"}


@every_interface("prometheus")
def test_every_metric_of_the_dashboard_and_the_alerts_is_scraped(project, env, tmp_path):
    deploy = project.path / "deploy"
    rules = deploy / "prometheus" / "alerts.yaml"
    dashboard = json.loads((deploy / "grafana" / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    with (
        serve(project, env, tmp_path) as server,
        Prometheus(tmp_path / "prometheus", f"{HOST}:{env['METRICS_PORT']}", "my_project", rules) as prometheus,
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
        used = set(re.findall(r"\bdjango_\w+", rules.read_text() + " ".join(expressions)))
        assert used
        wait_until(lambda: used <= set(prometheus.ask("label/__name__/values")), 10, f"all of {used} are scraped")
        loaded = [rule["name"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert {"RequestsFail", "RequestsAreSlow", "ServerIsSaturated", "NoInstanceIsUp"} <= set(loaded)


@pytest.mark.parametrize("interface", CHOICES["interface"])
@pytest.mark.parametrize("database", CHOICES["database"])
def test_alerts_fire_when_they_should_and_only_then(bake, interface, database, tmp_path):
    folder = bake(interface=interface, database=database, metrics="prometheus").path / "deploy" / "prometheus"
    promtool = find_program("promtool", "prometheus")
    run(promtool, "check", "rules", "alerts.yaml", cwd=folder)
    run(promtool, "test", "rules", "alerts_test.yaml", cwd=folder)

    # The tests of the alerts can fail: each alert that never fires is missed.
    rules = yaml.safe_load((folder / "alerts.yaml").read_text())
    (tmp_path / "alerts_test.yaml").write_text((folder / "alerts_test.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        expression, rule["expr"] = rule["expr"], "vector(0) > 1"
        (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
        assert run(promtool, "test", "rules", "alerts_test.yaml", cwd=tmp_path, check=False).returncode, rule["alert"]
        rule["expr"] = expression


@every_interface("prometheus")
def test_a_port_that_is_taken_ends_the_start(project, env):
    with Process(["python3", "-m", "http.server", "--bind", HOST, env["METRICS_PORT"]], project.path.parent) as other:
        other.wait_for(lambda: accepts(int(env["METRICS_PORT"])), 10, "the port is taken")
        result = project.execute(
            "python", "-m", "config.serve", env=env | {"HOST": HOST, "PORT": str(free_port())}, check=False
        )
    assert result.returncode
    assert "Address already in use" in result.stdout + result.stderr


@every_interface("opentelemetry")
def test_spans_and_metrics_arrive_and_lead_to_the_log(project, env, services, tmp_path):
    services.otlp.clear()
    fast = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_SERVICE_NAME": "shop"}
    with serve(project, env | fast, tmp_path) as server:
        page = server.get("/admin/?token=t0psecret", Cookie=f"__Host-sessionid={SESSION}")
        assert page.status == 302
        wait_until(lambda: find_spans(services.otlp, "GET /admin/"), 10, "the request's span arrives")
        [(resource, span, attributes)] = find_spans(services.otlp, "GET /admin/")
        wait_until(lambda: len(metric_names(services.otlp)) == 3, 10, "the metrics arrive")
        wait_until(
            lambda: (server.get("/robots.txt"), len(instances(services.otlp)))[1] == 2, 20, "each counts for itself"
        )

    assert resource["service.name"] == "shop"
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 302,
        "http.route": "/admin/",
        "url.scheme": "https",
    }
    queries = [found for _, query, found in services.otlp.spans() if query.parent_span_id == span.span_id]
    assert "django_session" in queries[0]["db.query.text"]
    assert queries[0]["db.system.name"] == "postgresql"
    assert metric_names(services.otlp) == {
        "http.server.active_requests",
        "http.server.request.duration",
        "db.client.operation.duration",
    }
    lines = [json.loads(line) for line in server.process.log.splitlines()]
    (access,) = [line for line in lines if line["logger"] == "access" and line["path"] == "/admin/"]
    assert (access["trace_id"], access["span_id"]) == (span.trace_id.hex(), span.span_id.hex())
    assert access["request_id"] == page.headers["X-Request-ID"]
    for secret in (b"t0psecret", SESSION.encode(), b"/health/"):
        assert not any(secret in body for body in services.otlp.bodies)


@every_interface("opentelemetry")
def test_one_request_in_ten_is_sampled_unless_its_caller_has_decided(project, env, services, tmp_path):
    services.otlp.clear()
    environment = {name: value for name, value in env.items() if name != "OTEL_TRACES_SAMPLER_ARG"}
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
def test_what_is_not_yet_sent_is_sent_when_the_server_stops(project, env, services, tmp_path):
    services.otlp.clear()
    slow = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    with serve(project, env | slow, tmp_path) as server:
        server.get("/robots.txt")
        assert services.otlp.messages == []
    assert len(find_spans(services.otlp, "GET /robots.txt")) == 1
    assert "http.server.request.duration" in metric_names(services.otlp)


@every_interface("opentelemetry")
@pytest.mark.parametrize("collector", ["refuses", "swallows"])
def test_a_collector_that_cannot_be_reached_slows_nothing_and_is_told_once(project, env, tmp_path, collector):
    with BlackHole() as hole:
        port = hole.port if collector == "swallows" else free_port()
        often = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{port}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "WEB_CONCURRENCY": "1",
        }
        with serve(project, env | often, tmp_path) as server:
            server.get("/robots.txt")
            wait_until(lambda: complaints(server), 10, "the outage is told")
            slowest = 0.0
            ends = time.monotonic() + 4  # several exports fail in this time
            while time.monotonic() < ends:
                began = time.monotonic()
                assert server.get("/robots.txt").status == 200
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 0.5
            stopping = time.monotonic()
        # Left to themselves the exporters may take half a minute each.
        assert time.monotonic() - stopping < 12
    assert server.process.returncode == 0
    assert len(complaints(server)) == 1


@every_interface("opentelemetry")
def test_nothing_of_it_is_loaded_without_a_collector(project, env):
    """But what Redis's client imports of it for itself."""
    program = (
        "import os, sys, runpy; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings.production';"
        "import gunicorn.app.wsgiapp as g; sys.argv = ['gunicorn'];"
        "app = g.WSGIApplication('%(prog)s'); app.wsgi(); app.cfg.post_worker_init(None);"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.exporter', 'opentelemetry.sdk.trace'))"
        " or name == 'apps.observability.telemetry'])"
    )
    without = {name: value for name, value in env.items() if not name.startswith("OTEL_")}
    result = run(
        project.path / ".venv" / "bin" / "python", "-c", program, cwd=project.path, env=clean_environment() | without
    )
    assert result.stdout.splitlines()[-1] == "[]"


def send(server, times):
    """Ask for three things, each a third of the times or once, from several clients at once."""
    paths = ["/", "/admin/", f"/made/up/{times}"] * max(1, times // 3)
    with ThreadPoolExecutor(8) as clients:
        assert {answer.status for answer in clients.map(server.get, paths)} == {200, 302, 404}


def assert_counts(prometheus, times):
    counts = {("home", 200): times // 3, ("admin:index", 302): times // 3, ("none", 404): times // 3}
    for name in ("django_http_requests_total", "django_http_request_duration_seconds_count"):
        for (view, status), count in counts.items():
            expression = f'{name}{{view="{view}", status="{status}", method="GET"}}'
            wait_until(lambda e=expression, c=count: prometheus.query(e) == [c], 10, f"{expression} is {count}")


def give_up_a_scrape(port) -> None:
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(b"GET /met")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset


def find_folder(master: int) -> Path:
    """Where the workers of this server count."""
    (file,) = Path("/dev/shm").glob(f"my_project-metrics-*/counter_{master}.db")
    return file.parent


def find_busy_workers(folder) -> list[int]:
    """The process ids of the workers that have answered a request."""
    return [int(number[1]) for path in folder.iterdir() if (number := re.fullmatch(r"histogram_(\d+)\.db", path.name))]


def find_spans(otlp, name):
    return [found for found in otlp.spans() if found[1].name == name]


def metric_names(otlp) -> set[str]:
    return {metric.name for _, metric in otlp.metrics()}


def instances(otlp) -> set[str]:
    return {resource["service.instance.id"] for resource, _ in otlp.metrics()}


def complaints(server) -> list[str]:
    return [line for line in server.process.log.splitlines() if '"logger": "opentelemetry' in line]
