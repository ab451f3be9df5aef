"""Sentry: an error arrives with release and request id, and without personal data.

No cookie, token, query string or e-mail address is sent. An unreachable Sentry slows
down neither requests nor the stop.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.services import BlackHole, SentrySink, free_port, wait_until

ROUNDS = 30
# Sentry's client has a timeout of 30 s. Its first event lists the packages: 1 to 2 s.
LIMIT_S = 5
REQUEST = {
    "X-Request-ID": "from-the-proxy",
    "Cookie": "__Host-sessionid=c00kie",
    "Authorization": "Bearer t0ken",
    "Referer": "https://shop.test/?query=s3cret&mail=joe@shop.test",
}


@both_interfaces
def test_an_error_arrives_without_personal_data(project, env, start, tmp_path, report):
    report(drill(project, env, start, tmp_path))


@only_wsgi
def test_an_event_that_is_not_scrubbed_is_noticed(
    project, env, start, tmp_path, break_promise
):
    broken = break_promise("core/sentry.py", "        before_send=scrub,\n", "")
    with pytest.raises(AssertionError, match="request id"):
        drill(broken, env, start, tmp_path)


@only_wsgi
def test_a_query_string_that_is_sent_is_noticed(
    project, env, start, tmp_path, break_promise
):
    old = 'event["request"] = {"method": event.get("request", {}).get("method")}'
    broken = break_promise("core/sentry.py", old, "pass")
    with pytest.raises(AssertionError, match="s3cret was sent"):
        drill(broken, env, start, tmp_path)


@only_wsgi
def test_requests_that_are_not_traced_are_noticed(
    project, env, start, tmp_path, break_promise
):
    never = "traces_sampler=lambda context: 0,"
    broken = break_promise("core/sentry.py", "traces_sampler=sample,", never)
    with pytest.raises(AssertionError, match="no request was traced"):
        drill(broken, env, start, tmp_path)


@both_interfaces
def test_a_sentry_that_is_away_slows_nobody(project, env, start, tmp_path, report):
    with SentrySink(tmp_path / "sentry") as sink, BlackHole() as hole:
        report(go_without(project, env, start, sink, hole))


@only_wsgi
def test_a_client_that_waits_is_noticed(project, env, start, tmp_path, break_promise):
    waits = "before_send=lambda event, hint: __import__('time').sleep(6),"
    broken = break_promise("core/sentry.py", "before_send=scrub,", waits)
    with (
        SentrySink(tmp_path / "sentry") as sink,
        BlackHole() as hole,
        pytest.raises(AssertionError, match="a request waited"),
    ):
        go_without(broken, env, start, sink, hole)


def drill(project, env: dict[str, str], start, folder: Path) -> str:
    with SentrySink(folder / "sentry") as sink:
        known = {
            "SENTRY_DSN": sink.dsn,
            "SENTRY_RELEASE": "1.2.3",
            "SENTRY_ENVIRONMENT": "staging",
        }
        instance = start(project, env | known | {"SENTRY_TRACES_SAMPLE_RATE": "1"})
        for name in ("error", "error-async"):
            path = f"/drill/{name}/?query=s3cret&mail=joe@shop.test"
            assert instance.get(path, **REQUEST).status == 500
        assert instance.get("/drill/row/", **REQUEST).status == 200
        wait_until(lambda: len(sink.events) == 2, 30, "two events to arrive")
        assert instance.stop() == 0  # the stop sends the rest
    for event in sink.events:
        assert (event["release"], event["environment"]) == ("1.2.3", "staging")
        request_id = event.get("tags", {}).get("request_id")
        assert request_id == "from-the-proxy", "no request id"
        assert event["exception"]["values"][-1]["value"] == "drilled"
    sent = b"".join(sink.envelopes)
    assert b'"transaction":"/drill/row/"' in sent, "no request was traced"
    assert b'"op":"db"' in sent, "no query was recorded"
    for secret in ("c00kie", "t0ken", "s3cret", "joe@", "query="):
        assert secret.encode() not in sent, f"{secret} was sent"
    envelopes = f"{len(sink.envelopes)} envelopes of {len(sent)} bytes"
    return f"{len(sink.events)} events in {envelopes}, nothing of the person"


def go_without(
    project, env: dict[str, str], start, sink: SentrySink, hole: BlackHole
) -> str:
    dsns = {
        "none": "",
        "answers": sink.dsn,
        "refuses": f"http://key@127.0.0.1:{free_port()}/1",
        "swallows": f"http://key@127.0.0.1:{hole.port}/1",
    }
    instances = {
        name: start(project, env | {"SENTRY_DSN": dsn}) for name, dsn in dsns.items()
    }
    times = {(name, path): [] for name in instances for path in ("ping", "error")}
    for _ in range(ROUNDS):
        for name, path in times:
            ask = partial(instances[name].get, f"/drill/{path}/")
            seconds = measure(ask)
            assert seconds < LIMIT_S, f"a request waited for {seconds:.1f} s"
            times[name, path].append(seconds)
    stop = max(measure(instance.stop) for instance in instances.values())
    assert stop < 10, f"the stop took {stop:.1f} s"
    assert {instance.process.returncode for instance in instances.values()} == {0}
    ratios = {
        (name, path): median(times[name, path]) / median(times["none", path])
        for name, path in times
    }
    told = [
        f"{name} x{ratios[name, 'ping']:.2f}, errors x{ratios[name, 'error']:.2f}"
        for name in dsns
        if name != "none"
    ]
    slowest = max(map(max, times.values()))
    ends = f"slowest {slowest:.1f} s, stop {stop:.1f} s"
    return f"against no DSN: {'; '.join(told)}; {ends}"


def measure(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began
