"""core/logs.py: each line is short, whatever a client sends, and has the request id."""

import io
import json
import logging
from types import ModuleType

import pytest
from apps.users.models import User
from core.logs import RequestFilter, begin_request, json_logging, request_id
from django.db import IntegrityError, transaction
from django.urls import path
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
    request_id.set(None)  # an async test may have left one
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


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Authorization: Bearer s3cret.x-1", "Authorization: Bearer ***"),
        (
            "GET https://api.test/?api_key=s3cret&b=2",
            "GET https://api.test/?api_key=***&b=2",
        ),
        ('{"password": "s3cret", "b": 2}', '{"password": "***", "b": 2}'),
        ("no redis://:s3cret@cache.test/0", "no redis://***@cache.test/0"),
        ("keys: 3, tokens, a key", "keys: 3, tokens, a key"),
    ],
)
def test_secrets_of_known_forms_are_masked(lines, text, written):
    shop = logging.getLogger("shop")
    shop.warning("%s", text)
    try:
        raise ValueError(text)
    except ValueError:
        shop.exception("failed")
    message, traceback = lines()
    assert message["message"] == written
    assert traceback["exc_info"].endswith(f"ValueError: {written}")


def test_a_row_that_the_database_refuses_is_not_written(db, lines):
    shop, name = logging.getLogger("shop"), "s3cret-ada"
    User.objects.create_user(name)
    try:
        with transaction.atomic():
            User.objects.create_user(name)
    except IntegrityError:
        shop.exception("failed")
    [line] = lines()
    assert "IntegrityError" in line["exc_info"]
    assert name not in line["exc_info"]


def test_arguments_that_do_not_fit_cost_no_request():
    record = logging.LogRecord("shop", logging.INFO, "", 0, "%s of %s", ("one",), None)
    assert RequestFilter().filter(record).getMessage() == "%s of %s"


def test_only_lines_about_probes_are_dropped(rf):
    for url, is_written in (("/health/ready/", False), ("/health/5/", True)):
        record = logging.LogRecord("shop", logging.ERROR, "", 0, "failed", (), None)
        record.request = rf.get(url)
        assert bool(RequestFilter().filter(record)) == is_written


def test_a_token_in_a_path_is_not_written(client, lines, settings):
    settings.ROOT_URLCONF = urls = ModuleType("urls")
    urls.urlpatterns = [path("reset/<uidb64>/<token>/", lambda request: None)]
    client.raise_request_exception = False
    client.get("/reset/MQ/s3cret-token/")
    error, access = sorted(lines(), key=lambda line: line["logger"], reverse=True)
    assert access["path"] == "/reset/***/***/"
    assert error["message"] == "Internal Server Error: /reset/***/***/"
