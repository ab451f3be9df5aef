"""What `check --deploy` says about a project, and that production's own settings leave it nothing to say."""

from typing import TYPE_CHECKING

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from pytest_django.fixtures import Settings

from apps.operations.checks import PLATFORM_MARKERS

if TYPE_CHECKING:
    from conftest import RunPython

ON_DISK = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}


@pytest.fixture(autouse=True)
def deployed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment with nothing to be said about it."""
    settings.ALLOWED_HOSTS = ["www.shop.test"]
    settings.SENTRY_DSN = "https://key@sentry.test/1"
    for marker in PLATFORM_MARKERS:
        monkeypatch.delenv(marker, raising=False)


def test_a_sound_deployment() -> None:
    assert messages() == set()


@pytest.mark.parametrize("host", ["*", "."])
def test_hosts_that_let_everything_in(settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS = ["www.shop.test", host]
    assert messages() == {"operations.W001"}


def test_no_content_security_policy(settings: Settings) -> None:
    settings.SECURE_CSP, settings.SECURE_CSP_REPORT_ONLY = {}, settings.SECURE_CSP
    assert messages() == set()
    settings.SECURE_CSP_REPORT_ONLY = {}
    assert messages() == {"operations.W002"}


@pytest.mark.parametrize("host", ["example.com", "www.example.org", ".Example.net", "shop.example"])
def test_hosts_that_are_reserved_for_examples(settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS = [host]
    assert messages() == {"operations.W003"}


def test_hosts_that_only_look_like_examples(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["myexample.com", "example.com.shop.test"]
    assert messages() == set()


@pytest.mark.parametrize("marker", PLATFORM_MARKERS)
def test_a_database_on_a_disk_that_may_go(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    monkeypatch.setenv(marker, "1")
    assert messages() == ({"operations.W004"} if connection.vendor == "sqlite" else set())


def test_uploads_on_a_disk_that_may_go(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORAGES = settings.STORAGES | ON_DISK
    assert messages() == set()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "operations.W005" in messages()


def test_errors_that_nobody_hears_of(settings: Settings) -> None:
    settings.SENTRY_DSN = ""
    assert messages() == {"operations.I001"}
    del settings.SENTRY_DSN
    assert messages() == {"operations.I001"}


def test_production_passes_its_deploy_checks(run_python: "RunPython", production_environ: dict[str, str]) -> None:
    environ = production_environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SENTRY_DSN": "http://key@127.0.0.1:9/1",
    }
    command = ["-W", "error", "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    # %if cookiecutter.database == "mysql"
    # Without --tag, the models and the database are checked too, for which MySQL has to run.
    for tag in ("caches", "compatibility", "files", "mail", "security", "staticfiles", "templates", "urls"):
        command += ["--tag", tag]
    # %endif
    result = run_python(*command, environ=environ)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "System check identified no issues (0 silenced).\n"


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True)


def messages() -> set[str | None]:
    found = run_checks(include_deployment_checks=True)
    return {message.id for message in found if str(message.id).startswith("operations.")}
