"""What Sentry is told: errors with their request, a share of all requests, and nothing about the person."""

import asyncio
import gzip
import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import brotli  # type: ignore[import-untyped]
import pytest
import sentry_sdk
from django.db import connection
from django.db.backends.dummy.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, Client
from django.urls import path
from pytest_django.fixtures import Settings
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from apps.observability import sentry_integration
from apps.observability.sentry import scrub

if TYPE_CHECKING:
    from conftest import LeaveEarly, RunPython, Send, Sink

type Told = list[dict[str, Any]]
type StartClient = Callable[[float], Told]

TRACE = "0af7651916cd43dd8448eb211c80319c"
MIDDLEWARE = "apps.observability.sentry_integration.sentry_middleware"


class Raw:
    """A query that is no text, as some databases' drivers make them."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Raw({self.text})"


def answer(request: HttpRequest, article: str) -> HttpResponse:
    return HttpResponse(article)


def look_up(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", ["a-value"])
        cursor.execute("SELECT 'another-value'")
    return HttpResponse()


def fail(request: HttpRequest) -> HttpResponse:
    look_up(request)
    raise RuntimeError("sold out")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(fail_while_streaming())


def fail_while_streaming() -> Iterator[bytes]:
    yield b"first"
    raise RuntimeError("cut off")


urlpatterns = [
    path("articles/<str:article>/", answer),
    path("look-up/", look_up),
    path("fail/", fail),
    path("stream/", stream),
]


@pytest.fixture
def start_client(settings: Settings) -> Iterator[StartClient]:
    """Starts a client that records such a share of the requests, and gives what it tells, the first event first."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
    scope = sentry_sdk.get_global_scope()

    def start(sample_rate: float) -> Told:
        told: Told = []

        class Teller(Transport):
            def capture_envelope(self, envelope: Envelope) -> None:
                for item in envelope.items:
                    told.append({**json.loads(item.get_bytes()), "trace": envelope.headers.get("trace")})

        client = sentry_sdk.Client(
            "https://key@sentry.test/1",
            transport=Teller,
            traces_sample_rate=sample_rate,
            default_integrations=False,
            integrations=[sentry_integration.RequestIntegration(), LoggingIntegration(sentry_logs_level=None)],
            before_send=scrub,
            before_send_transaction=scrub,
        )
        scope.set_client(client)
        return told

    # It may have been opened before.
    sentry_integration.watch_connection(connection)
    yield start
    connection.execute_wrappers.remove(sentry_integration.note_query)
    scope.set_client(None)


@pytest.mark.django_db
def test_an_error_is_told_with_its_request(send: "Send", start_client: StartClient) -> None:
    told = start_client(0)
    with pytest.raises(RuntimeError):
        send("GET", "/fail/?token=secret", headers={"cookie": "other=secret", "x-request-id": "7", "user-agent": "x/1"})
    [event] = told
    [exception] = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("RuntimeError", "sold out")
    assert exception["mechanism"] == {"type": "django", "handled": False}
    assert event["transaction"] == "/fail/"
    assert event["request"] == {
        "url": "http://testserver/fail/",
        "method": "GET",
        "headers": {"User-Agent": "x/1", "X-Request-Id": "7"} | event["request"]["headers"],
    }
    assert event["tags"]["request_id"] == "7"
    queries = [crumb["message"] for crumb in event["breadcrumbs"]["values"] if crumb["category"] == "query"]
    assert queries == ["SELECT %s", "SELECT"]
    assert "secret" not in json.dumps(event)


@pytest.mark.django_db
def test_nothing_of_a_request_is_told_with_another(send: "Send", start_client: StartClient) -> None:
    told = start_client(0)
    sentry_sdk.get_isolation_scope().add_breadcrumb(message="started")
    for _ in range(2):
        with pytest.raises(RuntimeError):
            send("GET", "/fail/")
    first, second = told
    for event in told:
        assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == ["SELECT %s", "SELECT"]
    assert first["contexts"]["trace"]["trace_id"] != second["contexts"]["trace"]["trace_id"]


def test_what_follows_a_request_is_told_without_it(client: Client, start_client: StartClient) -> None:
    told = start_client(0)
    client.get("/articles/ink/")
    logging.getLogger("shop").error("sold out")
    [event] = told
    assert "request" not in event
    assert "transaction" not in event


def test_queries_are_noted_once_however_often_a_connection_is_opened(start_client: StartClient) -> None:
    start_client(0)
    connection = DatabaseWrapper({})
    for _ in range(2):
        connection_created.send(sender=DatabaseWrapper, connection=connection)
    assert connection.execute_wrappers.count(sentry_integration.note_query) == 1


def test_a_query_is_noted_first_and_leaves_others_wrappers_alone(start_client: StartClient) -> None:
    start_client(0)
    connection = DatabaseWrapper({})
    with connection.execute_wrapper(wrapper := lambda *arguments: None):
        connection_created.send(sender=DatabaseWrapper, connection=connection)
    assert sentry_integration.note_query in connection.execute_wrappers
    assert wrapper not in connection.execute_wrappers


@pytest.mark.parametrize("sql", ["SELECT\n'secret'", "VALUES('secret')", "\tSET\tname='secret'", Raw("'secret'")])
def test_values_in_the_text_of_a_query_are_not_told(start_client: StartClient, sql: object) -> None:
    told = start_client(0)
    context = {"connection": connection}
    assert sentry_integration.note_query(lambda *arguments: "row", sql, None, False, context) == "row"
    assert sentry_integration.note_query(lambda *arguments: "row", Raw("'secret'"), ["x"], False, context) == "row"
    logging.getLogger("shop").error("sold out")
    assert "secret" not in json.dumps(told)


def test_a_response_that_fails_while_it_is_streamed_is_told_with_its_request(
    client: Client, start_client: StartClient
) -> None:
    told = start_client(0)
    response: Any = client.get("/stream/")
    with pytest.raises(RuntimeError):
        b"".join(response.streaming_content)
    [event] = told
    assert event["exception"]["values"][0]["value"] == "cut off"
    assert event["request"]["url"] == "http://testserver/stream/"


def test_a_client_that_leaves_is_no_error(start_client: StartClient, leave_early: "LeaveEarly") -> None:
    told = start_client(1)
    leave_early(sentry_integration.sentry_middleware, "/slow/")
    [event] = told
    assert event["transaction"] == "/slow/"
    assert event["contexts"]["response"] == {"status_code": 499}
    assert event["contexts"]["trace"]["status"] != "internal_error"


def test_requests_that_are_served_side_by_side_share_nothing(start_client: StartClient) -> None:
    start_client(0)

    async def see_scopes(request: HttpRequest) -> HttpResponse:
        response = HttpResponse()
        response.scopes = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()  # type: ignore[attr-defined]
        return response

    async def serve_two() -> list[Any]:
        serve = sentry_integration.sentry_middleware(see_scopes)
        return await asyncio.gather(*(serve(AsyncRequestFactory().get("/")) for _ in range(2)))

    sentry_sdk.get_current_scope()
    first, second = asyncio.run(serve_two())
    assert first.scopes[0] is not second.scopes[0]
    assert first.scopes[1] is not second.scopes[1]


@pytest.mark.django_db
def test_a_request_is_recorded_with_its_queries(send: "Send", start_client: StartClient) -> None:
    told = start_client(1)
    send("GET", "/look-up/?token=secret")
    [event] = told
    assert (event["type"], event["transaction"], event["transaction_info"]) == (
        "transaction",
        "/look-up/",
        {"source": "route"},
    )
    assert event["contexts"]["trace"]["op"] == "http.server"
    assert event["contexts"]["response"] == {"status_code": 200}
    spans = [(span["op"], span["description"], span["data"]["db.system"]) for span in event["spans"]]
    assert spans == [("db", "SELECT %s", connection.vendor), ("db", "SELECT", connection.vendor)]
    assert "secret" not in json.dumps(event)
    assert "-value" not in json.dumps(event)


def test_a_share_of_the_requests_is_recorded_and_told_as_such(client: Client, start_client: StartClient) -> None:
    told = start_client(0.25)
    for number in range(400):
        client.get(f"/articles/{number}/")
    assert 48 <= len(told) <= 152  # six standard deviations to each side
    assert {event["transaction"] for event in told} == {"/articles/<str:article>/"}
    assert {event["trace"]["sample_rate"] for event in told} == {"0.25"}
    assert max(float(event["trace"]["sample_rand"]) for event in told) < 0.25


def test_a_request_that_no_route_matches_is_named_after_its_path(client: Client, start_client: StartClient) -> None:
    told = start_client(1)
    client.get("/made/up/")
    [event] = told
    assert (event["transaction"], event["transaction_info"]) == ("/made/up/", {"source": "url"})
    assert event["contexts"]["response"] == {"status_code": 404}


@pytest.mark.parametrize(("decision", "recorded"), [("1", 1), ("0", 0)])
def test_whoever_began_a_trace_decides(send: "Send", start_client: StartClient, decision: str, recorded: int) -> None:
    told = start_client(0.5)
    for _ in range(8):
        send("GET", "/articles/ink/", headers={"sentry-trace": f"{TRACE}-b7ad6b7169203331-{decision}"})
    assert [event["contexts"]["trace"]["trace_id"] for event in told] == [TRACE] * recorded * 8


def test_sentry_learns_nothing_about_the_person(request_id: str) -> None:
    event = {
        "message": "mail to ada@shop.test failed at https://shop.test/reset?token=secret",
        "user": {"ip_address": "203.0.113.9"},
        "request": {
            "url": "https://shop.test/reset",
            "query_string": "token=secret",
            "cookies": {"sessionid": "secret"},
            "data": {"password": "secret"},
            "env": {"REMOTE_ADDR": "203.0.113.9"},
            "headers": {"Host": "shop.test", "Authorization": "secret", "X-Forwarded-For": "203.0.113.9"},
        },
        "breadcrumbs": {"values": [{"message": "GET /?token=secret", "data": {"http.query": "token=secret"}}]},
        "extra": {"sys.argv": ["manage.py", "secret"], "url": "https://:secret@shop.test/"},
    }
    assert scrub(event, {}) == {
        "message": "mail to [Filtered] failed at https://shop.test/reset?[Filtered]",
        "request": {"url": "https://shop.test/reset", "headers": {"Host": "shop.test"}},
        "breadcrumbs": {"values": [{"message": "GET /?[Filtered]", "data": {}}]},
        "extra": {"url": "https://[Filtered]@shop.test/"},
        "tags": {"request_id": request_id},
    }


def test_an_event_outside_a_request_has_no_request_id() -> None:
    assert "tags" not in scrub({"message": "a task failed"}, {})


def test_sentry_receives_errors(run_python: "RunPython", production_environ: dict[str, str], sink: "Sink") -> None:
    program = (
        "import django, logging; django.setup()\n"
        "from apps.observability.request_ids import begin_request; begin_request('a-request')\n"
        "def look_up(typed): open('/missing?token=secret')\n"
        "try: look_up('hunter' + str(2))\n"
        "except OSError: logging.getLogger('shop').exception('for ada@shop.test')\n"
    )
    environ = production_environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SENTRY_DSN": f"http://key@127.0.0.1:{sink.server_port}/1",
        "SENTRY_RELEASE": "1.2.3",
    }
    assert run_python("-c", program, environ=environ).returncode == 0
    [(_, headers, body)] = sink.received
    decode = {"gzip": gzip.decompress, "br": brotli.decompress}[headers["Content-Encoding"]]
    # https://develop.sentry.dev/sdk/foundations/transport/envelopes/
    _, item, payload = decode(body).splitlines()
    assert json.loads(item)["type"] == "event"
    event = json.loads(payload)
    assert event["tags"]["request_id"] == "a-request"
    assert (event["environment"], event["release"]) == ("production", "1.2.3")
    assert event["exception"]["values"][-1]["type"] == "FileNotFoundError"
    for secret in ("hunter2", "token=secret", "ada@shop.test"):
        assert secret not in json.dumps(event)
