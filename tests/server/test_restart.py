"""Restart: the engine, and the main process of each container, end and come back."""

import re
import time

import pytest

from tests.server.traffic import fetch, traffic
from tests.services import wait_until


def test_each_container_comes_back_after_kill_9(site, report):
    site.wait_for_health()
    told = []
    for name in site.containers():
        form = "{{.State.Pid}} {{.RestartCount}}"
        pid, count = site.host.docker("inspect", f"--format={form}", name).split()
        with traffic(site.host) as load:
            load.wait_for(20)
            site.host.kill_process(int(pid))
            wait_until(lambda: site.restarts(name) > int(count), 60, f"{name} starts")  # noqa: B023
            site.wait_for_health()
        short = name.removeprefix(f"{site.path.name}-")
        told.append(f"{short} {len(load.failures)} of {load.requests}")
        assert fetch(site.host).status == 200
    report("kill -9, failed requests: " + ", ".join(told))


def test_while_no_instance_answers_there_is_a_page(site):
    names = site.containers("-app-")
    site.host.docker("pause", *names)
    site.host.docker("kill", *names)
    try:
        answer = fetch(site.host)
        assert answer.status in (502, 503)
        assert b"The site is not available" in answer.content
        assert answer.headers["Retry-After"] == "30"
    finally:
        site.host.docker("start", *names)
        site.wait_for_health()


def test_everything_comes_back_after_the_engine_was_killed(site, report):
    site.host.kill_engine()
    began = time.monotonic()
    site.host.start_engine()
    site.wait_for_health()
    wait_until(lambda: fetch(site.host).status == 200, 30, "the page")
    report(f"engine killed: all healthy {time.monotonic() - began:.0f} s later")


@pytest.mark.long
def test_staging_is_a_project_of_its_own(site):
    production = f"{site.path.name}-proxy-1"
    (site.path / "deploy" / "staging.env").write_bytes(
        (site.path / "deploy" / "production.env").read_bytes()
    )
    options = {"CADDY_GLOBAL_OPTIONS": "local_certs"}
    options["COMPOSE_PROFILES"] = "database,cache,broker"
    site.just("env=staging", "secrets", **options)
    site.host.docker("stop", production)
    try:
        site.just("env=staging", "deploy", **options)
        assert site.containers("_staging-app-blue-")
        answered = site.answer_of_port_80("/")
        assert answered.status in (301, 308)
        assert re.match(
            r".* deploy \w+ ok", site.just("env=staging", "releases", **options).stdout
        )
    finally:
        site.host.docker("rm", "--force", *site.containers("_staging-"))
        site.host.docker("start", production)
