"""Every request has an id, every line is JSON, and no line holds a secret."""

import io
import json
import logging
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from logging.config import DictConfigurator
from typing import TYPE_CHECKING, Any

import pytest
from django.core import mail
from django.test import Client
from pytest_django.fixtures import Settings

from apps.observability.logs import RefusedRequests, json_logging
from apps.observability.mail import AdminMailHandler
from apps.observability.middleware import observability_middleware
from apps.observability.request_ids import choose_request_id, current_request_id

if TYPE_CHECKING:
    from conftest import LeaveEarly, RunPython, Send

type Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What has been logged since the test began, line by line, as production writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RefusedRequests())
    handler.setFormatter(DictConfigurator({}).configure_formatter(json_logging("INFO")["formatters"]["json"]))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize("proposed", ["7", "Ab.c_d-9", "x" * 128])
def test_a_well_formed_request_id_is_taken(send: "Send", proposed: str) -> None:
    response = send("GET", "/robots.txt", headers={"x-request-id": proposed})
    assert response.headers["X-Request-ID"] == proposed


@pytest.mark.parametrize("proposed", ["", "two words", "x" * 129, "a\nb", 'a"b', "é"])
def test_any_other_request_id_is_replaced(send: "Send", proposed: str) -> None:
    made = send("GET", "/robots.txt", headers={"x-request-id": proposed}).headers["X-Request-ID"]
    assert made != proposed
    assert len(made) == 32
    assert made != send("GET", "/robots.txt").headers["X-Request-ID"]


def test_the_request_id_ends_with_the_request(client: Client) -> None:
    client.get("/robots.txt")
    assert current_request_id() is None


def test_the_access_line(send: "Send", lines: Lines) -> None:
    send("GET", "/robots.txt?token=secret", headers={"user-agent": "probe/1", "x-request-id": "7"})
    [line] = lines()
    assert 0 <= line.pop("duration_ms") < 10_000
    assert datetime.now(UTC) - datetime.fromisoformat(line.pop("timestamp")) < timedelta(minutes=1)
    assert line == {
        "level": "INFO",
        "logger": "access",
        "message": "GET /robots.txt 200",
        "method": "GET",
        "path": "/robots.txt",
        "status": 200,
        "remote_addr": "127.0.0.1",
        "user_agent": "probe/1",
        "request_id": "7",
    }


def test_a_line_outside_a_request(lines: Lines) -> None:
    logging.getLogger("shop").info("%s sold", 3, extra={"article": "ink", "_buyer": "Ada"})
    [line] = lines()
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {"level": "INFO", "logger": "shop", "message": "3 sold", "article": "ink"}


def test_a_line_with_a_traceback(lines: Lines, request_id: str) -> None:
    try:
        raise ValueError("sold out")
    except ValueError:
        logging.getLogger("shop").exception("not sold")
    [line] = lines()
    assert (line["level"], line["message"], line["request_id"]) == ("ERROR", "not sold", request_id)
    assert line["exc_info"].startswith("Traceback (most recent call last)")
    assert line["exc_info"].endswith("ValueError: sold out")


def test_djangos_lines_hold_no_query_string(client: Client, lines: Lines) -> None:
    client.get("/missing?token=secret")
    assert {line["logger"] for line in lines()} == {"access", "django.request"}
    assert "secret" not in json.dumps(lines())


def test_a_refused_request_is_one_short_line(client: Client, lines: Lines) -> None:
    client.get("/", headers={"host": "evil.test"})
    [line] = lines()
    assert (line["logger"], line["level"], line["status"]) == ("access", "WARNING", 400)
    assert line["refusal"].startswith("Invalid HTTP_HOST header: 'evil.test'")
    assert "exc_info" not in line


def test_a_line_is_short_whatever_the_client_sends(send: "Send", lines: Lines) -> None:
    send(
        "GET",
        "/%0A" + "%01" * 5000,
        headers={"host": "\xff" * 5000, "user-agent": '"' * 5000, "x-request-id": "a" * 128},
    )
    [line] = lines()
    assert line["path"].startswith("/%0A%01%01")
    assert len(json.dumps(line)) < 1000


def test_gunicorns_word_about_what_is_not_http_is_short_and_holds_no_query_string(lines: Lines) -> None:
    logging.getLogger("gunicorn.error").warning("Invalid request from ip=192.0.2.7: 'GET /?token=secret " + "é" * 5000)
    [line] = lines()
    assert line["message"].startswith("Invalid request from ip=192.0.2.7: 'GET / %C3%A9")
    assert len(json.dumps(line)) < 500


def test_a_refused_request_is_told_without_its_query_string(lines: Lines) -> None:
    logging.getLogger("django.security.DisallowedRedirect").error("Unsafe redirect to %s", "odd://x/?token=secret")
    [line] = lines()
    assert line["message"] == "Unsafe redirect to odd://x/"


def test_ids_do_not_repeat_where_random_numbers_do() -> None:
    state = random.getstate()
    first = choose_request_id("")
    random.setstate(state)
    assert choose_request_id("") != first


def test_a_worker_has_other_ids_than_its_master(run_python: "RunPython", production_environ: dict[str, str]) -> None:
    program = (
        "import os\n"
        "from apps.observability.request_ids import choose_request_id\n"
        "child = os.fork()\n"
        "os.write(1, choose_request_id('').encode() + b' ')\n"
        "child and os.wait()\n"
    )
    first, second = run_python("-c", program, environ=production_environ).stdout.split()
    assert first != second


def test_a_client_that_leaves_has_its_line_too(lines: Lines, leave_early: "LeaveEarly") -> None:
    leave_early(observability_middleware, "/slow/")
    assert [(line["path"], line["status"]) for line in lines()] == [("/slow/", 499)]


def test_production_logs_to_standard_output(run_python: "RunPython", production_environ: dict[str, str]) -> None:
    program = "import django, logging; django.setup(); logging.getLogger('shop').warning('low on ink')"
    environ = production_environ | {"DJANGO_SETTINGS_MODULE": "config.settings.production"}
    result = run_python("-c", program, environ=environ)
    assert json.loads(result.stdout)["message"] == "low on ink"
    assert result.stderr == ""


@pytest.fixture
def mailing(settings: Settings) -> logging.Logger:
    """A logger whose errors are mailed."""
    settings.ADMINS = ["ada@shop.test"]
    mailing = logging.getLogger("mailing")
    mailing.handlers = [AdminMailHandler(logging.ERROR)]
    return mailing


def test_errors_are_mailed_once_a_minute_and_without_the_request(
    mailing: logging.Logger, request_id: str, client: Client
) -> None:
    request = client.get("/?token=secret", headers={"cookie": "other=secret"}).wsgi_request
    for _ in range(2):
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            mailing.exception("Internal Server Error: %s", "/", extra={"request": request})
    wait_for_mails()
    [message] = mail.outbox
    assert message.subject.endswith("ERROR: Internal Server Error: /")
    assert "ZeroDivisionError" in str(message.body)
    assert "secret" not in str(message.message())


def test_a_mail_server_that_is_away_costs_nothing_but_the_mail(
    mailing: logging.Logger, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": 9},
        }
    }
    mailing.error("out of ink")
    wait_for_mails()
    assert [record.getMessage() for record in caplog.records if record.name.endswith("observability.mail")] == [
        "An error could not be mailed: ConnectionRefusedError"
    ]


def wait_for_mails() -> None:
    for thread in threading.enumerate():
        if thread.name.endswith("(send)"):
            thread.join(timeout=10)
