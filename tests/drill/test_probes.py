"""Readiness is cheap: 2,000 probes in five seconds.

Load balancers, orchestrators, monitors and attackers send probes. The number of queries
must not grow with the number of probes.
"""

import http.client
import re
import threading
import time

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.instances import PUBLIC
from tests.services import wait_until

PROBES = 2000
SECONDS = 5.0
CLIENTS = 4
WORKERS = 2


@both_interfaces
def test_a_flood_of_probes_costs_a_query_a_second(
    project, env, start, services, report
):
    log_statements(services.postgresql, env)
    report(drill(start(project, env, workers=WORKERS), services.postgresql))


@only_wsgi
def test_a_query_for_each_probe_is_noticed(
    project, env, start, services, break_promise
):
    broken = break_promise(
        "core/health.py", "DEADLINE_S = 1.0, 1.5", "DEADLINE_S = 0.0, 1.5"
    )
    log_statements(services.postgresql, env)
    with pytest.raises(AssertionError, match="queries"):
        drill(start(broken, env, workers=WORKERS), services.postgresql)


def drill(instance, postgresql) -> str:
    url = instance.env["DATABASE_URL"]

    def all_are_ready() -> bool:
        return instance.is_ready() and postgresql.count_connections(url) >= WORKERS

    wait_until(all_are_ready, 20, "each worker to be ready")
    started = time.monotonic()
    queries_before = count_queries(postgresql)
    flood(instance)
    queries = count_queries(postgresql) - queries_before
    took = time.monotonic() - started
    assert queries > 0, "the database was not asked at all"
    allowed = (int(took) + 1) * WORKERS  # one at the start of each second
    assert queries <= allowed, f"{queries} queries for {PROBES} probes in {took:.1f} s"
    return f"{queries} queries for {PROBES} probes of two processes in {took:.1f} s"


def flood(instance) -> None:
    """Send PROBES probes from CLIENTS connections, evenly over SECONDS or slower."""
    wrong: list[bytes] = []

    def probe(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=10)
        for number in range(first, PROBES, CLIENTS):
            due = begun + number * SECONDS / PROBES
            time.sleep(max(0.0, due - time.monotonic()))
            connection.request("GET", "/health/ready/", headers=PUBLIC)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                wrong.append(body)

    begun = time.monotonic()
    threads = [
        threading.Thread(target=probe, args=(first,)) for first in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"{len(wrong)} probes: {wrong[0].decode()}"


def log_statements(postgresql, env) -> None:
    """Log every statement of new connections to the project's database."""
    name = env["DATABASE_URL"].rpartition("/")[2]
    postgresql.query(f"ALTER DATABASE {name} SET log_statement = 'all'")


def count_queries(postgresql) -> int:
    """Count the queries of the readiness check in the log."""
    query = r"LOG:  (?:statement|execute [^:]+): SELECT 1$"
    return len(re.findall(query, postgresql.process.log, re.MULTILINE))
