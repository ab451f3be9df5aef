"""core/mail.py: errors are mailed at most once a minute, and no request waits."""

import logging
import threading

import pytest
from core.logs import request_id
from core.mail import AdminMailHandler
from django.core import mail


@pytest.fixture
def mailing(settings):
    """A logger whose errors are mailed."""
    settings.ADMINS = ["ada@shop.test"]
    logger = logging.getLogger("mailing")
    logger.handlers = [AdminMailHandler(logging.ERROR)]
    request_id.set("a-request")
    yield logger
    request_id.set(None)


def test_errors_are_mailed_once_a_minute_without_the_request(mailing, client):
    response = client.get("/?token=secret", headers={"cookie": "o=secret"})
    for _ in range(2):
        try:
            raise ValueError("sold out")
        except ValueError:
            extra = {"request": response.wsgi_request}
            mailing.exception("Internal Server Error: %s", "/", extra=extra)
    wait_for_mails()
    [message] = mail.outbox
    assert message.subject.endswith("ERROR: Internal Server Error: /")
    assert "ValueError: sold out" in str(message.body)
    assert "request_id: " in str(message.body)
    assert "secret" not in str(message.message())


def test_an_unreachable_mail_server_only_loses_the_mail(mailing, settings, caplog):
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    options = {"host": "127.0.0.1", "port": 9}
    settings.MAILERS = {"default": {"BACKEND": smtp, "OPTIONS": options}}
    mailing.error("out of ink")
    wait_for_mails()
    told = [record.getMessage() for record in caplog.records]
    assert "an error could not be mailed: ConnectionRefusedError" in told


def wait_for_mails():
    for thread in threading.enumerate():
        if thread.name.endswith("(send)"):
            thread.join(timeout=10)
