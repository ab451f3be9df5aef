"""What is counted, under which names, and how Prometheus gets it from all workers together."""

import json
import os
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache, InvalidCacheBackendError
from django.db import DatabaseError, connection
from django.db.backends.signals import connection_created
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from apps.observability import metrics
from config import metrics_server, server

if TYPE_CHECKING:
    from conftest import LeaveEarly, Send

WORKER = 4_000_000  # above the largest process id


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/?token=secret", {"view": "home", "method": "GET", "status": "200"}),
        ("HEAD", "/robots.txt", {"view": "apps.pages.views.robots", "method": "HEAD", "status": "200"}),
        ("POST", "/robots.txt", {"view": "apps.pages.views.robots", "method": "POST", "status": "405"}),
        ("GET", "/made/up/7", {"view": "none", "method": "GET", "status": "404"}),
        ("BREW", "/", {"view": "home", "method": "other", "status": "405"}),
    ],
)
def test_a_request_is_counted_by_view_method_and_status(
    send: "Send", method: str, path: str, labels: dict[str, str]
) -> None:
    names = ("django_http_requests_total", "django_http_request_duration_seconds_count")
    before = [sample(name, **labels) for name in names]
    send(method, path)
    assert [sample(name, **labels) for name in names] == [count + 1 for count in before]
    assert sample("django_http_requests_in_progress") == 0


def test_a_probe_is_not_counted(send: "Send") -> None:
    before = total("django_http_requests_total")
    send("GET", "/health/live/")
    assert total("django_http_requests_total") == before


def test_a_client_that_leaves_is_counted(leave_early: "LeaveEarly") -> None:
    def in_progress() -> None:
        assert sample("django_http_requests_in_progress") == 1

    before = sample("django_http_requests_total", view="none", method="GET", status="499")
    leave_early(metrics.metrics_middleware, meanwhile=in_progress)
    assert sample("django_http_requests_total", view="none", method="GET", status="499") == before + 1
    assert sample("django_http_requests_in_progress") == 0


@pytest.mark.django_db(transaction=True)
def test_queries_and_their_errors_are_counted() -> None:
    connection.ensure_connection()
    opened, queries, errors, seconds = (
        sample(f"django_db_{name}_total", database="default")
        for name in ("connections", "queries", "query_errors", "query_seconds")
    )
    connection_created.send(type(connection), connection=connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        with pytest.raises(DatabaseError):
            cursor.execute("SELECT missing")
    assert sample("django_db_connections_total", database="default") == opened + 1
    assert sample("django_db_queries_total", database="default") == queries + 2
    assert sample("django_db_query_errors_total", database="default") == errors + 1
    assert sample("django_db_query_seconds_total", database="default") > seconds


# %if cookiecutter.database == "postgresql"
def test_waiting_for_the_pool_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg_pool import ConnectionPool, PoolTimeout

    before = pool_counts()
    with ConnectionPool("host=127.0.0.1 port=9", min_size=1, timeout=0.05) as pool:
        monkeypatch.setattr(
            "django.db.connections",
            SimpleNamespace(all=lambda **options: [SimpleNamespace(alias="default", pool=pool)]),
        )
        with pytest.raises(PoolTimeout):
            pool.getconn()
        metrics.count_pools()
        metrics.count_pools()
    asked, waited, seconds, given_up = (now - then for now, then in zip(pool_counts(), before, strict=True))
    assert (asked, waited, given_up) == (1, 1, 1)
    assert seconds >= 0


def pool_counts() -> list[float]:
    return [
        sample(f"django_db_pool_{name}_total", database="default")
        for name in ("requests", "waits", "wait_seconds", "errors")
    ]


# %endif
def test_lookups_in_the_cache_are_counted(client: Client) -> None:
    client.get("/robots.txt")  # the first request finds the caches
    cache.set("known", None)
    hits, misses = sample("django_cache_hits_total"), sample("django_cache_misses_total")
    assert cache.get("known", "default") is None
    assert cache.get("unknown", "default") == "default"
    assert cache.get_many(key for key in ("known", "unknown")) == {"known": None}
    assert cache.delete("known")
    assert sample("django_cache_hits_total") == hits + 2
    assert sample("django_cache_misses_total") == misses + 2


def test_errors_of_the_cache_are_counted() -> None:
    class Broken(BaseCache):
        def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
            raise InvalidCacheBackendError

    broken = Broken({})
    metrics.watch_cache(Broken)
    before = sample("django_cache_errors_total")
    with pytest.raises(InvalidCacheBackendError):
        broken.get("key")
    with pytest.raises(InvalidCacheBackendError):
        broken.get_many(["key"])
    assert sample("django_cache_errors_total") == before + 2


# %if cookiecutter.cache != "database"
def test_the_cache_is_watched_where_its_outages_are_not_hidden() -> None:
    from apps.operations.cache import FailSafeCache

    local = {"SERVER_BACKEND": "django.core.cache.backends.locmem.LocMemCache", "SERVER_ERRORS": []}
    assert metrics.find_class(FailSafeCache("", local)).__name__ == "LocMemCache"


# %endif
@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(metrics_server, "find_folder", lambda: tmp_path)
    return tmp_path


def test_the_counts_of_an_ended_worker_stay_and_its_files_go(folder: Path) -> None:
    for worker in (WORKER, WORKER + 1):
        for kind in ("counter", "histogram", "gauge_livesum"):
            count(folder / f"{kind}_{worker}.db", 2)
        metrics_server.child_exit(None, SimpleNamespace(pid=worker))
    metrics_server.child_exit(None, SimpleNamespace(pid=WORKER + 2))  # it had not begun to count
    assert {path.name for path in folder.iterdir()} == {"counter_ended.db", "histogram_ended.db"}
    count(folder / f"counter_{WORKER + 3}.db", 1)
    counts = {sample.name: sample.value for metric in metrics_server.Counts().collect() for sample in metric.samples}
    assert counts == {"counter_sheep_total": 2 + 2 + 1, "histogram_sheep_total": 2 + 2}


def test_prometheus_is_answered_until_the_server_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "METRICS_PORT", 0)
    monkeypatch.setattr(server, "HOST", "127.0.0.1")
    monkeypatch.setattr(os, "register_at_fork", lambda **functions: None)
    count(folder / f"counter_{WORKER}.db", 3)
    arbiter = SimpleNamespace()
    metrics_server.when_ready(arbiter)
    port = arbiter.metrics_server.server_port
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        assert "counter_sheep_total 3.0" in response.read().decode()
    metrics_server.on_exit(arbiter)
    assert not folder.exists()


@pytest.fixture
def find_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Finds the folders of one server after another, on a machine whose memory cannot be written to."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return metrics_server.find_folder.__wrapped__


def test_the_folder_is_private_and_a_killed_servers_folder_goes(find_folder: Any, tmp_path: Path) -> None:
    left = tmp_path / f"{metrics_server.PREFIX}left"
    left.mkdir()
    first, second = find_folder(), find_folder()
    assert first.stat().st_mode & 0o777 == 0o700
    assert set(tmp_path.iterdir()) == {first, second}


def test_a_worker_counts_towards_the_servers_size() -> None:
    # %if cookiecutter.interface == "wsgi"
    name, size = "django_http_threads", server.THREADS
    # %else
    name, size = "django_http_workers", 1
    # %endif
    metrics_server.post_fork(None, None)
    assert sample(name) == size


def test_alerts_and_dashboard_use_metrics_that_exist() -> None:
    deploy = settings.BASE_DIR / "deploy"
    dashboard = (deploy / "grafana" / "dashboard.json").read_text(encoding="utf-8")
    alerts = (deploy / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")
    assert len(json.loads(dashboard)["panels"]) == len(set(re.findall(r'"title": "(.+)"', dashboard))) - 1
    used = {re.sub("_(total|bucket)$", "", name) for name in re.findall(r"\bdjango_\w+", dashboard + alerts)}
    assert used
    assert used <= {metric.name for metric in REGISTRY.collect()}


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def total(name: str) -> float:
    return sum(sample.value for metric in REGISTRY.collect() for sample in metric.samples if sample.name == name)


def count(file: Path, sheep: int) -> None:
    """What the library writes in a worker."""
    name = f"{file.name.partition('_')[0]}_sheep"
    values = MmapedDict(str(file))
    values.write_value(mmap_key(name, f"{name}_total", [], [], "Sheep."), sheep, 0)
    values.close()
