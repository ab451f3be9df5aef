"""Drain: two instances are replaced one after the other under load.

Each is told to drain, stopped once the proxy sends it nothing any more, and started again; no request may notice.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.instances import Instance, Load
from tests.services import Caddy, Nginx, Proxy, wait_until

REQUESTS = 5000
QUIET_S = 1.0  # an instance that was sent nothing for so long, while the others were, is out of service


@both_interfaces
def test_rolling_restart_behind_caddy(project, env, start, report, tmp_path):
    instances = [start(project, env), start(project, env)]
    with Caddy(
        tmp_path / "caddy", project.path, *(instance.port for instance in instances)
    ) as caddy:
        report("Caddy: " + drill(instances, caddy))


@both_interfaces
def test_rolling_restart_behind_nginx(project, env, start, report, tmp_path):
    instances = [start(project, env), start(project, env)]
    with Nginx(
        tmp_path / "nginx", project.path, *(instance.port for instance in instances)
    ) as nginx:
        # It does not ask for readiness, so whoever releases marks the instance in its configuration. The reload closes
        # the connections that clients keep, whether or not a request is on its way: they make one for each.
        told = lambda instance: nginx.take_out(instance and instance.port)  # noqa: E731
        report("nginx: " + drill(instances, nginx, told, keeps_connections=False))


@only_wsgi
def test_instance_that_does_not_drain_is_noticed(
    project, env, start, break_promise, tmp_path
):
    broken = break_promise(
        "core/health.py",
        "if settings.DRAIN_FILE.exists():",
        "if not settings.DRAIN_FILE:",
    )
    instances = [start(broken, env), start(broken, env)]
    with (
        Caddy(
            tmp_path / "caddy", project.path, *(instance.port for instance in instances)
        ) as caddy,
        pytest.raises(AssertionError, match="drains, and says that it is ready"),
    ):
        drill(instances, caddy)


@only_wsgi
def test_instance_that_is_stopped_without_draining_is_noticed(
    project, env, start, break_promise, tmp_path, monkeypatch
):
    # One that tries another instance, or remembers which one has failed, would mostly hide it.
    broken = break_promise(
        "deploy/nginx/default.conf",
        "proxy_connect_timeout 3s;",
        "proxy_connect_timeout 3s; proxy_next_upstream off;",
    )
    instances = [start(project, env), start(project, env)]
    monkeypatch.setattr(
        "tests.drill.test_drain.take_out_of_service", lambda instance, told: None
    )
    with (
        Nginx(
            tmp_path / "nginx", broken.path, *(instance.port for instance in instances)
        ) as nginx,
        pytest.raises(AssertionError, match="requests failed"),
    ):
        drill(instances, nginx)


def drill(
    instances: list[Instance],
    proxy: Proxy,
    told: Callable[[Instance | None], None] = lambda instance: None,
    *,
    keeps_connections: bool = True,
) -> str:
    """Restart every instance while clients GET and POST through the proxy, which is ``told`` who is out of service."""
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
        gets.wait_for(max(0, REQUESTS - gets.requests - posts.requests), timeout=60)
    failures = gets.failures + posts.failures
    requests = gets.requests + posts.requests
    assert not failures, (
        f"{len(failures)} of {requests} requests failed, such as {failures[0]}"
    )
    assert set(gets.answers) == set(posts.answers) == {200}
    assert requests >= REQUESTS
    return f"0 of {requests} requests failed, {posts.requests} of them POST; both restarted in {took:.0f} s"


def take_out_of_service(
    instance: Instance, told: Callable[[Instance | None], None]
) -> None:
    """Drain, and return when the proxy has noticed."""
    instance.drain_file.touch()
    assert not instance.is_ready(), "it drains, and says that it is ready"
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
    # nginx leaves out for 10 s one that has failed.
    wait_until(
        lambda: instance.requests > seen, 20, "the proxy to send it requests again"
    )
