"""The settings: what production requires and refuses, and what has to fit together."""

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from config.settings import base

MALFORMED = {
    "DJANGO_SECRET_KEY": "hunter2",
    "DJANGO_ALLOWED_HOSTS": "https://hunter2",
    "DJANGO_CSRF_TRUSTED_ORIGINS": "hunter2",
    "DJANGO_LOG_LEVEL": "hunter2",
    "DJANGO_SECRET_KEY_FALLBACKS": "hunter2",
    "DJANGO_SECURE_HSTS_SECONDS": "hunter2",
    "DJANGO_SECURE_SSL_REDIRECT": "hunter2",
    # %if cookiecutter.api != "none"
    "DJANGO_CORS_ALLOWED_ORIGINS": "*",
    # %endif
    # %if cookiecutter.cache != "database"
    "CACHE_URL": "hunter2://127.0.0.1",
    # %endif
    "DATABASE_URL": "oracle://shop:hunter2@127.0.0.1/shop",
    "EMAIL_URL": "smtp://shop:hunter2@127.0.0.1:port",
    "FORWARDED_ALLOW_IPS": "hunter2",
    "PORT": "hunter2",
    "SENTRY_DSN": "https://hunter2",
    "SENTRY_TRACES_SAMPLE_RATE": "hunter2",
    # %if cookiecutter.media_storage == "s3"
    "AWS_STORAGE_BUCKET_NAME": "s3://hunter2",
    # %endif
    # %if cookiecutter.media_storage == "gcs"
    "GS_BUCKET_NAME": "gs://hunter2",
    # %endif
    # %if cookiecutter.media_storage == "azure"
    "AZURE_ACCOUNT_NAME": "https://hunter2.blob.core.windows.net",
    # %endif
    # %if cookiecutter.task_queue == "celery"
    "CELERY_BROKER_URL": "hunter2://127.0.0.1",
    # %endif
}


type LoadProduction = Callable[..., SimpleNamespace]


def test_production_loads_and_never_debugs(load_production: LoadProduction) -> None:
    assert load_production(DEBUG="true", DJANGO_DEBUG="true").DEBUG is False


def test_a_value_may_come_from_a_file(
    load_production: LoadProduction, tmp_path: Path
) -> None:
    key = "0123456789" * 5
    (tmp_path / "key").write_text(f"  {key}\n")
    file = str(tmp_path / "key")
    production = load_production(DJANGO_SECRET_KEY="", DJANGO_SECRET_KEY_FILE=file)
    assert key == production.SECRET_KEY


@pytest.mark.parametrize(
    ("value", "problem"),
    [("", "is missing"), ("change-me", "still holds a placeholder")],
)
def test_a_required_variable_needs_a_value_of_its_own(
    load_production: LoadProduction, value: str, problem: str
) -> None:
    with pytest.raises(SystemExit, match=f"DJANGO_SECRET_KEY {problem}"):
        load_production(DJANGO_SECRET_KEY=value)


def test_the_server_reports_every_malformed_variable_without_its_value() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "config.serve"],
        cwd=base.BASE_DIR,
        env=MALFORMED,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    names = re.findall(r"^  - (\w+) ", result.stderr, re.MULTILINE)
    assert set(MALFORMED) - set(names) == set()
    assert "hunter2" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("cores", [1, 17, 64])
def test_an_instance_takes_at_most_40_connections(
    load_production: LoadProduction, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    cpus = set(range(cores))
    monkeypatch.setattr("os.sched_getaffinity", lambda process: cpus, raising=False)
    server = runpy.run_path(str(base.BASE_DIR / "config" / "server.py"))
    # Without a pool each thread keeps one, and so does the readiness check.
    pool = getattr(load_production(), "POOL_MAX_SIZE", 0)
    assert server["WORKERS"] * (pool or server.get("THREADS", 0) + 1) <= 40


@pytest.mark.usefixtures("production")
@pytest.mark.django_db
def test_check_deploy_finds_nothing(
    load_production: LoadProduction,
    production_environ: dict[str, str],
    settings: Settings,
) -> None:
    settings.MAILERS = load_production().MAILERS
    with mock.patch.dict(os.environ, production_environ, clear=True):
        call_command("check", deploy=True, fail_level="WARNING")


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True)
