"""core/checks.py: the messages of `check --deploy`."""

import pytest
from core.checks import PLATFORMS
from django.core.checks import run_checks

S3 = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
DISK = {"BACKEND": "django.core.files.storage.FileSystemStorage"}


@pytest.fixture(autouse=True)
def sound_deployment(settings, monkeypatch):
    settings.ALLOWED_HOSTS = ["www.shop.test"]
    settings.SENTRY_DSN = "https://key@sentry.test/1"
    for platform in PLATFORMS:
        monkeypatch.delenv(platform, raising=False)


def test_nothing_is_said_of_a_sound_deployment():
    assert messages() == set()


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("*", {"core.W002"}),
        (".", set()),
        ("example.com", {"core.W002"}),
        ("www.example.org", {"core.W002"}),
        (".Example.net", {"core.W002"}),
        ("shop.example", {"core.W002"}),
        ("myexample.com", set()),
        ("example.com.shop.test", set()),
    ],
)
def test_wildcard_and_example_hosts_are_reported(settings, host, found):
    settings.ALLOWED_HOSTS = ["www.shop.test", host]
    assert messages() == found


def test_a_missing_content_policy_is_reported(settings):
    settings.SECURE_CSP, settings.SECURE_CSP_REPORT_ONLY = {}, settings.SECURE_CSP
    assert messages() == set()
    settings.SECURE_CSP_REPORT_ONLY = {}
    assert messages() == {"core.W001"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_uploads_on_an_ephemeral_disk_are_reported(settings, monkeypatch, platform):
    settings.STORAGES = settings.STORAGES | {"default": DISK}
    assert messages() == set()
    monkeypatch.setenv(platform, "1")
    assert messages() == {"core.W003"}


def test_a_missing_sentry_dsn_is_reported(settings):
    settings.SENTRY_DSN = ""
    assert messages() == {"core.I001"}
    del settings.SENTRY_DSN
    assert messages() == {"core.I001"}


def messages():
    found = run_checks(include_deployment_checks=True)
    return {message.id for message in found if str(message.id).startswith("core.")}
