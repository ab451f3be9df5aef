"""core/logs.py: each line is short, whatever a client sends, and has the request id."""

import io
import json
import logging

import pytest
from core.logs import RequestFilter, begin_request, json_logging, request_id
from django.utils.module_loading import import_string


@pytest.fixture
def lines(caplog):
    """Return a function that reads the log as production writes it."""
    config = json_logging("INFO")
    caplog.set_level(config["loggers"]["django.request"]["level"], "django.request")
    caplog.set_level(config["root"]["level"])
    options = config["formatters"]["json"]
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.addFilter(RequestFilter())
    handler.setFormatter(import_string(options.pop("()"))(**options))
    # Before pytest's handlers, which store a traceback in the record.
    root = logging.getLogger()
    root.handlers.insert(0, handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def test_a_line_outside_a_request_has_no_request_id(lines):
    logging.getLogger("shop").info("%s sold", 3, extra={"article": "ink"})
    [line] = lines()
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "shop",
        "message": "3 sold",
        "article": "ink",
    }


@pytest.mark.parametrize("proposed", ["", "x" * 129, "a\nb", 'a"b', "é"])
def test_a_malformed_request_id_is_replaced(proposed):
    made = [begin_request({"HTTP_X_REQUEST_ID": proposed}) for _ in range(2)]
    request_id.set(None)
    assert made[0] != made[1]
    assert [len(chosen) for chosen in made] == [32, 32]


def test_the_id_ends_with_the_request(client, lines):
    client.get("/robots.txt")
    logging.getLogger("shop").info("between two requests")
    assert [line.get("request_id") is None for line in lines()] == [False, True]


def test_a_refused_host_leaves_short_lines_without_traceback(client, lines):
    client.get("/?token=secret", headers={"host": "evil.test"})
    written = lines()
    assert {line["logger"] for line in written} == {
        "access",
        "django.security.DisallowedHost",
    }
    assert "exc_info" not in json.dumps(written)
    assert "secret" not in json.dumps(written)


def test_a_line_is_short_and_printable_whatever_the_client_sends(client, lines):
    headers = {"user-agent": '"' * 5000, "x-request-id": "a" * 128}
    client.get("/%0A" + "%01" * 5000, headers=headers)
    [line] = lines()
    assert line["path"].startswith("/%0A%01%01")
    assert len(json.dumps(line)) < 1000


def test_an_unsafe_redirect_is_told_without_its_query_string(lines):
    logger = logging.getLogger("django.security.DisallowedRedirect")
    logger.error("Unsafe redirect to %s", "odd://x/?token=secret")
    [line] = lines()
    assert line["message"] == "Unsafe redirect to odd://x/"
