"""The request id, and the lines of JSON that production writes."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils.module_loading import import_string

from core.logs import RequestFilter, json_logging

type Lines = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    """Return what a logger has written, line by line, as in production."""
    caplog.set_level(logging.INFO)
    options = dict(json_logging("INFO")["formatters"]["json"])
    formatter = import_string(options.pop("()"))(**options)

    def read(logger: str) -> list[dict[str, Any]]:
        texts = [formatter.format(record) for record in caplog.records]
        return [line for line in map(json.loads, texts) if line["logger"] == logger]

    with caplog.filtering(RequestFilter()):
        yield read


@pytest.mark.parametrize(
    ("proposed", "is_taken"),
    [("Ab.c_d-9", True), ("", False), ("two words", False), ("x" * 129, False)],
)
def test_a_request_id_is_taken_only_if_it_is_well_formed(
    client: Client, proposed: str, is_taken: bool
) -> None:
    headers = {"x-request-id": proposed}
    request_id = client.get("/", headers=headers).headers["X-Request-ID"]
    assert request_id
    assert (request_id == proposed) is is_taken


def test_a_request_leaves_one_line_without_its_query_string(
    client: Client, lines: Lines
) -> None:
    headers = {"x-request-id": "from-the-proxy", "user-agent": "probe/1"}
    client.get("/?token=secret", headers=headers)
    [line] = lines("access")
    assert line.keys() >= {"timestamp", "level", "message", "duration_ms"}
    assert (line["method"], line["path"], line["status"]) == ("GET", "/", 200)
    assert (line["remote_addr"], line["user_agent"]) == ("127.0.0.1", "probe/1")
    assert line["request_id"] == "from-the-proxy"
    assert "secret" not in json.dumps(line)


def test_a_probe_leaves_no_line(client: Client, lines: Lines) -> None:
    client.get("/health/live/")
    assert lines("access") == []


@pytest.mark.urls("failing_urls")
@pytest.mark.django_db
def test_an_error_leaves_its_traceback_and_request_id(lines: Lines) -> None:
    client = Client(raise_request_exception=False)
    client.get("/broken/", headers={"x-request-id": "from-the-proxy"})
    [line] = lines("django.request")
    assert (line["level"], line["request_id"]) == ("ERROR", "from-the-proxy")
    assert line["exc_info"].endswith("ValueError: sold out")
