"""config/server.py: the number of cores for the server, and its timeouts."""

import runpy

import pytest
from config import server

CORES = 8


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine with eight cores and no limit of a control group."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(CORES)))
    monkeypatch.setattr(server, "CPU_QUOTA", tmp_path / "cpu.max")


def test_an_unlimited_machine_has_all_of_its_cores():
    assert server.count_cores() == CORES


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
def test_a_container_has_the_share_of_its_control_group(tmp_path, limit, cores):
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert server.count_cores() == cores


def test_a_balancer_that_keeps_connections_longer_can_be_outlasted(monkeypatch):
    """Google's keeps them for 600 s."""
    monkeypatch.setenv("KEEPALIVE", "620")
    read = runpy.run_path(server.__file__)["KEEPALIVE"]
    monkeypatch.setattr("config.server.KEEPALIVE", read)
    assert runpy.run_path("gunicorn.conf.py")["keepalive"] == 620


@pytest.mark.parametrize("given", ["::1", "[::1]"])
def test_an_ipv6_address_is_bound_in_brackets(monkeypatch, given):
    monkeypatch.setenv("HOST", given)
    assert runpy.run_path(server.__file__)["HOST"] == "[::1]"
