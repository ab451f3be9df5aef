"""What is counted, and that the alerts and the dashboard ask for what exists."""

import re
from pathlib import Path

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from prometheus_client import REGISTRY

from core import metrics

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


def test_a_request_is_counted_by_view_method_and_status(client: Client) -> None:
    home = {"view": "home", "method": "GET", "status": "200"}
    unknown = {"view": "none", "method": "other", "status": "404"}
    before = [count("http_requests_total", **home) for _ in range(2)]
    client.get("/?token=secret")
    client.generic("BREW", "/made/up/7")
    after = count("http_requests_total", **home)
    timed = count("http_request_duration_seconds_count", **home)
    assert [after, timed] == [number + 1 for number in before]
    assert count("http_requests_total", **unknown) == 1
    assert count("http_requests_in_progress") == 0


@pytest.mark.django_db
def test_queries_and_errors_are_counted() -> None:
    metrics.watch_connection(connection)
    names = ("db_query_seconds_count", "db_query_errors_total")
    before = [count(name, database="default") for name in names]
    with connection.cursor() as cursor, pytest.raises(DatabaseError):
        cursor.execute("SELECT missing")
    after = [count(name, database="default") for name in names]
    assert after == [number + 1 for number in before]


def test_alerts_and_dashboard_use_metrics_that_exist() -> None:
    paths = (DEPLOY / "grafana/dashboard.json", DEPLOY / "prometheus/alerts.yaml")
    text = " ".join(path.read_text() for path in paths)
    used = set(re.findall(r"\bdjango_\w+?(?=(?:_total|_bucket|_count|_sum)?\b)", text))
    # %if cookiecutter.task_queue == "celery"
    used.remove("django_tasks_waiting")  # a worker asks its broker at each scrape
    # %endif
    # %if cookiecutter.deployment in ("caddy", "nginx")
    used.remove("django_backup_timestamp_seconds")  # times of files
    # %endif
    assert used
    assert used <= {metric.name for metric in REGISTRY.collect()}


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"django_{name}", labels) or 0
