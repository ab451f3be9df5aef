"""core/checks.py: the broker, and mails to new users."""

from django.core.checks import run_checks


def test_a_far_broker_has_a_password(settings):
    for url, is_told in [
        ("redis://broker.shop.test/1", True),
        ("redis://:s3cret@broker.shop.test/1", False),
        ("redis://broker/1", False),
    ]:
        settings.CELERY_BROKER_URL = url
        assert ("core.W004" in messages()) == is_told


def test_welcome_mails_need_a_server(settings, monkeypatch):
    monkeypatch.delenv("EMAIL_URL", raising=False)
    for is_on in (True, False):
        settings.WELCOME_MAIL = is_on
        assert ("core.W008" in messages()) == is_on


def messages():
    return {message.id for message in run_checks(include_deployment_checks=True)}
