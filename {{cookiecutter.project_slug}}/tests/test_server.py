"""How large the server is, and that it starts, serves, logs and stops."""

import json
import os
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings

from config import server

if TYPE_CHECKING:
    from conftest import LoadModule, RunPython

CORES = 8


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with eight cores, which no control group limits."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(CORES)), raising=False)
    monkeypatch.setattr(server, "CGROUP_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(server, "CGROUP_V1", tmp_path / "cpu.cfs_quota_us")


def test_all_cores_of_an_unlimited_machine() -> None:
    assert server.count_cores() == CORES


def test_all_cores_of_a_system_that_does_not_share_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert server.count_cores() == 3


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", CORES),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", CORES),
    ],
)
def test_the_limit_of_a_control_group(tmp_path: Path, limit: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert server.count_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", CORES), ("200000", 2), ("150000", 2)])
def test_the_limit_of_a_control_group_of_version_1(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert server.count_cores() == cores


def test_the_server_as_it_comes(load_module: "LoadModule") -> None:
    config = load_module("config.server", {})
    assert (config.HOST, config.PORT, config.GRACEFUL_TIMEOUT_S) == ("0.0.0.0", 8000, 25)  # noqa: S104
    workers = config.WORKERS
    assert workers == 2 * config.count_cores() + 1
    assert config.env.problems == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("WEB_CONCURRENCY", "0"),
        # %if cookiecutter.interface == "wsgi"
        ("WEB_THREADS", "0"),
        # %endif
        # %if cookiecutter.metrics == "prometheus"
        ("METRICS_PORT", "0"),
        ("METRICS_PORT", "8000"),
        # %endif
    ],
)
def test_a_server_that_could_not_serve(load_module: "LoadModule", variable: str, value: str) -> None:
    assert set(load_module("config.server", {variable: value}).env.problems) == {variable}


def test_the_server_does_not_start_with_a_malformed_variable(
    run_python: "RunPython", production_environ: dict[str, str]
) -> None:
    environ = production_environ | {"PORT": "http", "WEB_CONCURRENCY": "many", "EMAIL_URL": "mail.test"}
    result = run_python("-m", "config.serve", environ=environ)
    assert (result.returncode, result.stdout) == (1, "")
    for variable in ("PORT", "WEB_CONCURRENCY", "EMAIL_URL"):
        assert f"- {variable} must be " in result.stderr
    assert "Traceback" not in result.stderr


def test_the_server_starts_serves_and_stops(production_environ: dict[str, str]) -> None:
    port = find_port()
    environ = production_environ | {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": "1"}
    # %if cookiecutter.metrics == "prometheus"
    environ["METRICS_PORT"] = str(find_port())
    # %endif
    with subprocess.Popen(
        [sys.executable, "-m", "config.serve"],
        cwd=settings.BASE_DIR,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        lines = []
        try:
            while str(port) not in (line := process.stdout.readline()):
                assert line, process.stderr.read()
                lines.append(line)
            assert get(port, "/health/live/") == (200, '{"status": "ok"}')
            assert get(port, "/")[0] == 301
        finally:
            process.terminate()
        lines += process.stdout
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")
    messages = [json.loads(line)["message"] for line in lines]
    assert "GET / 301" in messages
    assert not [message for message in messages if "health" in message]


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "www.shop.test"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
