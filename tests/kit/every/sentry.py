"""core/sentry.py: nothing that identifies a person is sent."""

import pytest
import sentry_sdk
from core.logs import request_id
from core.sentry import clean, scrub, start_sentry


@pytest.mark.parametrize(("rate", "is_recorded"), [(0.0, False), (1.0, True)])
def test_a_header_of_a_client_does_not_decide_what_is_recorded(rate, is_recorded):
    start_sentry("http://key@127.0.0.1:9/1", "tests", "", rate)
    header = f"{'a' * 32}-{'b' * 16}-{int(not is_recorded)}"
    try:
        trace = sentry_sdk.continue_trace({"sentry-trace": header})
        assert sentry_sdk.start_transaction(trace).sampled == is_recorded
    finally:
        sentry_sdk.get_client().close(timeout=0)
        sentry_sdk.get_global_scope().set_client(None)


def test_an_event_says_nothing_about_the_person():
    event = {
        "user": {"ip_address": "203.0.113.9"},
        "request": {
            "url": "https://shop.test/reset",
            "method": "POST",
            "query_string": "token=secret",
            "cookies": {"sessionid": "secret"},
            "data": {"password": "secret"},
            "env": {"REMOTE_ADDR": "203.0.113.9"},
            "headers": {"Host": "shop.test", "Authorization": "secret"},
        },
        "breadcrumbs": {"values": [{"message": "GET /?token=secret"}]},
    }
    request_id.set("a-request")
    sent = scrub(event, {})
    request_id.set(None)
    assert sent == {
        "request": {"method": "POST"},
        "breadcrumbs": {"values": [{"message": "GET /?***"}]},
        "tags": {"request_id": "a-request"},
    }


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("for ada@shop.test", "for ***"),
        ("redis://:hunter2@cache.test/0", "redis://***@cache.test/0"),
        ("GET https://shop.test/?a=b&c=d now", "GET https://shop.test/?*** now"),
        ("Authorization: Bearer s3cret", "Authorization: Bearer ***"),
        ("no secret?", "no secret?"),
    ],
)
def test_secrets_are_masked_wherever_they_are(text, sent):
    assert clean({"list": [text], "tuple": (text,)}) == {
        "list": [sent],
        "tuple": [sent],
    }
