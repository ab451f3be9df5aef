"""Drain: two instances are replaced one after the other under load.

Each drains, stops when the proxy sends it no more requests, and starts again. No
request may fail.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.instances import Instance, Load
from tests.services import Caddy, Nginx, Proxy, wait_until

REQUESTS = 5000  # at least, in the longer form
QUIET_S = 1.0  # without a request for this time, an instance is out of service


@both_interfaces
def test_rolling_restart_behind_caddy_fails_no_request(
    project, env, start, report, tmp_path
):
    instances, ports = start_two(project, env, start)
    with Caddy(tmp_path / "caddy", project.path, *ports) as caddy:
        report("Caddy: " + drill(instances, caddy))


@both_interfaces
@pytest.mark.parametrize(
    "least", [2000, pytest.param(REQUESTS, marks=pytest.mark.long)]
)
def test_rolling_restart_behind_nginx_fails_no_request(
    project, env, start, report, tmp_path, least
):
    instances, ports = start_two(project, env, start)
    with Nginx(tmp_path / "nginx", project.path, *ports) as nginx:
        # nginx does not check readiness, so the release marks the instance as down. The
        # reload closes kept connections, even during a request: connect for each one.
        told = lambda instance: nginx.take_out(instance and instance.port)  # noqa: E731
        figure = drill(instances, nginx, told, least=least, keeps_connections=False)
        report(f"nginx: {figure}")


@only_wsgi
def test_instance_that_does_not_drain_is_noticed(
    project, env, start, break_promise, tmp_path
):
    broken = break_promise(
        "core/health.py",
        "if settings.DRAIN_FILE.exists():",
        "if not settings.DRAIN_FILE:",
    )
    instances, ports = start_two(broken, env, start)
    with (
        Caddy(tmp_path / "caddy", project.path, *ports) as caddy,
        pytest.raises(AssertionError, match="drains and says that it is ready"),
    ):
        drill(instances, caddy)


@only_wsgi
def test_instance_that_is_stopped_without_draining_is_noticed(
    project, env, start, break_promise, tmp_path, monkeypatch
):
    # A proxy that tries another instance would hide most failures.
    retry = "proxy_next_upstream error timeout;"
    broken = break_promise("deploy/nginx/nginx.conf", retry, "proxy_next_upstream off;")
    instances, ports = start_two(project, env, start)
    monkeypatch.setattr(f"{__name__}.take_out_of_service", lambda instance, told: None)
    with (
        Nginx(tmp_path / "nginx", broken.path, *ports) as nginx,
        pytest.raises(AssertionError, match="requests failed"),
    ):
        drill(instances, nginx, least=500)


def start_two(project, env, start) -> tuple[list[Instance], list[int]]:
    instances = [start(project, env), start(project, env)]
    return instances, [instance.port for instance in instances]


def drill(
    instances: list[Instance],
    proxy: Proxy,
    told: Callable[[Instance | None], None] = lambda instance: None,
    *,
    least: int = REQUESTS,
    keeps_connections: bool = True,
) -> str:
    """Restart every instance under load; ``told`` tells the proxy which one is out."""
    with ExitStack() as stack:
        clients = {"keeps_connections": keeps_connections, "tls": True}
        gets = stack.enter_context(
            Load(proxy.port, "/drill/row/", clients=6, **clients)
        )
        posts = stack.enter_context(
            Load(proxy.port, "/drill/body/", clients=2, body=b"x" * 2000, **clients)
        )
        for instance in instances:
            wait_until(lambda: instance.requests > 0, 10, "the proxy to use both")  # noqa: B023
        started = time.monotonic()
        for instance in instances:
            take_out_of_service(instance, told)
            assert instance.stop() == 0
            instance.start()
            put_into_service(instance, told)
        took = time.monotonic() - started
        gets.wait_for(max(0, least - gets.requests - posts.requests), timeout=60)
    failures = gets.failures + posts.failures
    requests = gets.requests + posts.requests
    failed = f"{len(failures)} of {requests} requests failed"
    assert not failures, f"{failed}, such as {failures[0]}"
    assert set(gets.answers) == set(posts.answers) == {200}
    assert requests >= least
    return f"{failed}, {posts.requests} of them POST; both restarted in {took:.0f} s"


def take_out_of_service(
    instance: Instance, told: Callable[[Instance | None], None]
) -> None:
    """Drain, and return when the proxy sends no more requests."""
    instance.drain_file.touch()
    assert not instance.is_ready(), "it drains and says that it is ready"
    told(instance)
    seen, since = instance.requests, time.monotonic()
    limit = since + 10
    while time.monotonic() < since + QUIET_S:
        assert time.monotonic() < limit, "the proxy goes on sending requests"
        time.sleep(0.1)
        if (now := instance.requests) > seen:
            seen, since = now, time.monotonic()


def put_into_service(
    instance: Instance, told: Callable[[Instance | None], None]
) -> None:
    """Return when the proxy sends it requests again."""
    wait_until(instance.is_ready, 10, "the instance to be ready")
    told(None)
    seen = instance.requests
    # nginx skips an instance for 10 s after a failure.
    what = "the proxy to send it requests again"
    wait_until(lambda: instance.requests > seen, 20, what)
