"""core/checks.py: the messages of `check --deploy`."""

import pytest
from core.checks import PLATFORMS
from django.core.checks import run_checks
from django.db import connection

S3 = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
DISK = {"BACKEND": "django.core.files.storage.FileSystemStorage"}


@pytest.fixture(autouse=True)
def sound_deployment(settings, monkeypatch):
    settings.ALLOWED_HOSTS = ["www.shop.test"]
    settings.SENTRY_DSN = "https://key@sentry.test/1"
    for platform in PLATFORMS.split():
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


@pytest.mark.parametrize("platform", PLATFORMS.split())
def test_uploads_on_an_ephemeral_disk_are_reported(settings, monkeypatch, platform):
    settings.STORAGES = settings.STORAGES | {"default": DISK}
    assert messages() == set()
    monkeypatch.setenv(platform, "1")
    assert messages() == {"core.W003"}


NEAR = ["db", "localhost", "127.0.0.1", "10.0.0.1", "fd00::1", "db.shop.svc"]
FAR = "db.shop.test"
SMTP = {"host": FAR, "port": 25, "username": "ada"}


@pytest.mark.parametrize(
    ("host", "mode", "is_told"),
    [
        (FAR, None, True),
        ("93.184.215.14", "disable", True),
        (FAR, "prefer", True),
        (FAR, "verify-full", False),
        *[(host, None, False) for host in NEAR],
    ],
)
def test_a_far_database_is_encrypted(settings, monkeypatch, host, mode, is_told):
    name = "ssl_mode" if connection.vendor == "mysql" else "sslmode"
    mode = mode and mode.upper().replace("-", "_") if name == "ssl_mode" else mode
    mode = {"VERIFY_FULL": "VERIFY_IDENTITY"}.get(mode, mode)
    database = settings.DATABASES["default"]
    monkeypatch.setitem(database, "HOST", host)
    monkeypatch.setitem(database, "OPTIONS", {name: mode})
    assert ("core.W010" in messages()) == is_told


@pytest.mark.parametrize(
    ("location", "is_told"),
    [
        (f"redis://{FAR}/0", True),
        (f"rediss://{FAR}:6380/0", True),
        (f"redis://:s3cret@{FAR}/0", False),
        ("redis://cache/0", False),
        ("redis://10.0.0.1/0", False),
        ([f"{FAR}:11211"], True),
        (["127.0.0.1:11211"], False),
    ],
)
def test_a_far_cache_has_a_password(settings, monkeypatch, location, is_told):
    monkeypatch.setitem(settings.CACHES["default"], "LOCATION", location)
    assert ("core.W004" in messages()) == is_told


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (f"http://key@{FAR}/1", {"core.W005"}),
        (f"https://key@{FAR}/1", set()),
        ("http://key@sentry:9000/1", set()),
    ],
)
def test_a_far_server_is_asked_by_https(settings, address, found):
    settings.SENTRY_DSN = address
    assert messages() == found


def test_a_password_for_mail_is_encrypted(settings):
    for options, found in [
        (SMTP | {"password": "s3cret"}, {"core.W006"}),
        (SMTP | {"password": "s3cret", "use_tls": True}, set()),
        (SMTP | {"password": "s3cret", "host": "mail"}, set()),
        (SMTP, set()),
    ]:
        settings.MAILERS = {"default": {"BACKEND": "x", "OPTIONS": options}}
        assert messages() == found


def test_everybody_as_a_proxy_is_reported(settings):
    settings.FORWARDED_ALLOW_IPS = ["0.0.0.0/0", "::/0"]
    assert messages() == {"core.W007"}


def test_mails_about_errors_need_a_server(settings, monkeypatch, tmp_path):
    monkeypatch.delenv("EMAIL_URL", raising=False)
    settings.ADMINS = ["ada@shop.test"]
    assert messages() == {"core.W008"}
    file = tmp_path / "EMAIL_URL"
    file.touch()
    monkeypatch.setenv("EMAIL_URL_FILE", str(file))
    assert messages() == {"core.W008"}
    file.write_text("smtp://mail")
    assert messages() == set()


def test_uploads_need_a_folder_that_can_be_written(settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {"default": DISK}
    settings.MEDIA_ROOT = tmp_path / "uploads"
    assert messages() == set()
    settings.MEDIA_ROOT.write_bytes(b"no folder")
    assert messages() == {"core.W009"}


def test_a_missing_sentry_dsn_is_reported(settings):
    settings.SENTRY_DSN = ""
    assert messages() == {"core.I001"}
    del settings.SENTRY_DSN
    assert messages() == {"core.I001"}


def messages():
    found = run_checks(include_deployment_checks=True)
    return {message.id for message in found if str(message.id).startswith("core.")}
