"""Production without its cache: pages and flags work, one line logs it."""

import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import product
from urllib.parse import urlencode

import pytest

from tests.bakery import Project, describe, production_environment
from tests.services import BlackHole, Certificate, Memcached, Redis, wait_until
from tests.serving import serve

PASSWORD = "quay-rivet-9/@?#%"
# If packets are swallowed, each call to the cache waits for 0.5 s.
PATIENCE_S = 5
ROWS = [
    {"cache": cache, "interface": interface}
    for cache, interface in product(("redis", "memcached"), ("wsgi", "asgi"))
]
PROJECTS = [
    pytest.param(row, id=describe(row), marks=pytest.mark.xdist_group(describe(row)))
    for row in ROWS
]
LOG_IN = f"""
from django.contrib.auth import get_user_model
get_user_model().objects.create_superuser("ada", "ada@shop.test", {PASSWORD!r})
"""
# The admin, in another process than the server.
SWITCH_FLAG = """
from django.contrib.auth import get_user_model
from django.test import Client
from waffle.models import Flag
flag, _ = Flag.objects.get_or_create(name="preview")
client = Client(headers={"host": "shop.test"})
backend = "django.contrib.auth.backends.ModelBackend"
client.force_login(get_user_model().objects.get(username="ada"), backend)
form = {"action": "ACTION_for_all", "_selected_action": flag.pk}
assert client.post("/admin/waffle/flag/", form, secure=True).status_code == 302
"""
ASK = """
from django.core.cache import cache
cache.set("one", 1)
print(cache.get("one"))
"""


@pytest.fixture(scope="module", params=PROJECTS)
def project(request, tmp_path_factory) -> Project:
    project = Project.bake(
        tmp_path_factory.mktemp("cache"),
        database="sqlite",
        flags="waffle",
        **request.param,
    )
    project.sync()
    return project


@pytest.fixture(scope="module")
def cache(project, tmp_path_factory) -> Iterator[Redis | Memcached]:
    service = {"redis": Redis, "memcached": Memcached}[project.answers["cache"]]
    with service(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def env(project, services, cache) -> dict[str, str]:
    """Prepare a project for production; return its environment."""
    env = production_environment(project.answers, services)
    env["CACHE_URL"] = f"{project.answers['cache']}://127.0.0.1:{cache.port}"
    env["WEB_CONCURRENCY"] = "1"
    project.manage("collectstatic", "--noinput", env=env)
    project.manage("migrate", env=env)
    project.manage("shell", "--no-imports", "-c", LOG_IN, env=env)
    return env


@pytest.mark.parametrize(
    "outage",
    ["stopped", "swallows packets", pytest.param("paused", marks=pytest.mark.long)],
)
def test_pages_go_on_without_the_cache_and_it_comes_back(
    project, env, cache, outage, tmp_path
):
    (project.path / "server.log").unlink(missing_ok=True)
    switch_flag(project, env, "enable")
    with serve(project, env, tmp_path) as server:
        cookies = log_in(server)
        # The first visit loads modules; do not measure this.
        assert server.get("/admin/", Cookie=cookies).status == 200
        assert readiness(server) == "ok"

        with take_away(cache, outage):
            for _ in range(3):
                assert timed(server, "/admin/", Cookie=cookies) == 200
                assert timed(server, "/admin/") == 302
                assert timed(server, "/") == 200
                assert timed(server, "/preview/") == 200
            switch_flag(project, env, "disable")
            assert timed(server, "/preview/") == 404
            what = "readiness sees the outage"
            wait_until(lambda: readiness(server) == "failing", 5, what)
            log_in(server)

        what = "readiness sees the cache again"
        wait_until(lambda: readiness(server) == "ok", 15, what)
        assert timed(server, "/admin/", Cookie=cookies) == 200

    lines = [json.loads(line) for line in server.process.log.splitlines()]
    accesses = [line for line in lines if line["logger"] == "access"]
    assert not [line for line in accesses if line["status"] >= 500]
    warnings = [line for line in lines if line["level"] in ("WARNING", "ERROR")]
    # The client for Redis logs the problem once a minute, that for memcached never.
    clients = {"redis": ["django_redis.cache"], "memcached": []}
    loggers = ["core.health", *clients[project.answers["cache"]]]
    assert sorted(line["logger"] for line in warnings) == loggers
    [health] = [line for line in warnings if line["logger"] == "core.health"]
    assert (health["status"], health["checks"]["cache"]) == ("ok", "failing")


def test_a_flag_switched_in_the_admin_counts_at_once_in_all_workers(
    project, env, tmp_path
):
    with serve(project, env | {"WEB_CONCURRENCY": "2"}, tmp_path) as server:
        for action, status in [("enable", 200), ("disable", 404)]:
            switch_flag(project, env, action)
            assert {server.get("/preview/").status for _ in range(20)} == {status}


@pytest.mark.xdist_group(describe(ROWS[0]))
def test_redis_needs_a_trusted_certificate_and_the_password(
    services, tmp_path_factory, tmp_path
):
    project = Project.bake(tmp_path_factory.mktemp("tls"), database="sqlite")
    project.sync()
    certificate = Certificate(tmp_path)

    def ask_redis(**urls: str) -> tuple[str, str]:
        env = production_environment(project.answers, services) | {"CACHE_URL": ""}
        output = project.manage("shell", "--no-imports", "-c", ASK, env=env | urls)
        *told, answer = output.stdout.splitlines()
        return answer, "".join(told)

    with Redis(tmp_path / "server", PASSWORD, certificate) as server:
        answer, told = ask_redis(CACHE_URL=server.url)
        assert answer == "None"
        assert "CERTIFICATE_VERIFY_FAILED" in told
        assert PASSWORD not in told
        trusted = f"{server.url}?ssl_ca_certs={certificate.file}"
        assert ask_redis(CACHE_URL=trusted) == ("1", "")
        wrong = trusted.replace("quay", "key")
        answer, told = ask_redis(CACHE_URL=wrong)
        assert answer == "None"
        assert "AuthenticationError" in told
        assert "rivet" not in told
        # As on Heroku, whose certificate nobody can verify.
        assert ask_redis(REDIS_URL=f"{server.url}?ssl_cert_reqs=none") == ("1", "")
        assert ask_redis(CACHE_URL=trusted, REDIS_URL=wrong) == ("1", "")


@contextmanager
def take_away(cache, outage: str) -> Iterator[None]:
    """Stop the server, or pause it, or swallow all packets to it."""
    if outage == "paused":
        cache.process.send_signal(signal.SIGSTOP)
    else:
        cache.stop()
    hole = BlackHole()
    hole.port = cache.port
    try:
        with hole if outage == "swallows packets" else nullcontext():
            yield
    finally:
        if outage == "paused":
            cache.process.send_signal(signal.SIGCONT)
        cache.start()


def switch_flag(project, env, action: str) -> None:
    """Turn the flag of the page /preview/ on or off for everybody."""
    script = SWITCH_FLAG.replace("ACTION", action)
    project.manage("shell", "--no-imports", "-c", script, env=env)


def readiness(server) -> str:
    return json.loads(server.get("/health/ready/").body)["checks"]["cache"]


def timed(server, path: str, **headers: str) -> int:
    """Return the status of an answer, which must come in time."""
    began = time.monotonic()
    status = server.get(path, **headers).status
    assert time.monotonic() - began < PATIENCE_S, path
    return status


def log_in(server) -> str:
    """Log in and return the cookies."""
    page = server.get("/admin/login/")
    token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    form = {"csrfmiddlewaretoken": token, "username": "ada", "password": PASSWORD}
    request = urllib.request.Request(
        f"{server.url}/admin/login/",
        data=urlencode(form).encode(),
        headers={
            "Host": "shop.test",
            "X-Forwarded-Proto": "https",
            "Referer": "https://shop.test/admin/login/",
            "Cookie": page.headers["Set-Cookie"].partition(";")[0],
        },
    )
    began = time.monotonic()
    with pytest.raises(urllib.error.HTTPError) as redirect:
        server.opener.open(request, timeout=10)
    assert redirect.value.code == 302
    assert time.monotonic() - began < PATIENCE_S
    cookies = redirect.value.headers.get_all("Set-Cookie")
    return "; ".join(cookie.partition(";")[0] for cookie in cookies)
