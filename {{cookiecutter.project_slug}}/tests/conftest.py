"""What several tests share: requests on both sides of the middleware, and production's environment and settings."""

import logging
import os
import runpy
import string
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from pytest_django.fixtures import Settings

from apps.observability.request_ids import begin_request, end_request

PROJECT = Path(__file__).resolve().parents[1]

type Environ = Mapping[str, str]
type LoadModule = Callable[[str, Environ], SimpleNamespace]
type RunPython = Callable[..., subprocess.CompletedProcess[str]]
type Send = Callable[..., Any]


@pytest.fixture(params=[Client, AsyncClient], ids=["sync", "async"])
def send(request: pytest.FixtureRequest, settings: Settings) -> Send:
    """Sends a request, such as ``send("GET", "/")``, through the synchronous and the asynchronous side of Django."""
    client = request.param()

    async def send_async(method: str, path: str, **options: Any) -> Any:
        return await client.generic(method, path, **options)

    # %if cookiecutter.interface == "wsgi"
    # WhiteNoise is synchronous, and would draw all that stands before it onto its side.
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]
    # %endif
    return async_to_sync(send_async) if request.param is AsyncClient else client.generic


@pytest.fixture
def request_id() -> Iterator[str]:
    yield begin_request("a-request")
    end_request()


@pytest.fixture
def production_environ(tmp_path: Path) -> dict[str, str]:
    """All that production needs; nothing listens at the addresses."""
    # %if cookiecutter.database == "postgresql"
    database_url = "postgresql://shop:secret@127.0.0.1:9/shop"
    # %endif
    # %if cookiecutter.database == "mysql"
    database_url = "mysql://shop:secret@127.0.0.1:9/shop"
    # %endif
    # %if cookiecutter.database == "sqlite"
    database_url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    # %endif
    return {
        "DJANGO_SECRET_KEY": string.ascii_letters,
        "DJANGO_ALLOWED_HOSTS": "www.shop.test, .shop.test",
        "DATABASE_URL": database_url,
        # %if cookiecutter.cache != "database"
        "CACHE_URL": "{{ cookiecutter.cache }}://127.0.0.1:9",
        # %endif
        # %if cookiecutter.task_queue == "celery" and cookiecutter.cache != "redis"
        "CELERY_BROKER_URL": "redis://127.0.0.1:9/0",
        # %endif
        # %if cookiecutter.media_storage == "s3"
        "AWS_STORAGE_BUCKET_NAME": "media",
        # %endif
        # %if cookiecutter.media_storage == "gcs"
        "GS_BUCKET_NAME": "media",
        # %endif
        # %if cookiecutter.media_storage == "azure"
        "AZURE_ACCOUNT_NAME": "shop",
        "AZURE_CONTAINER": "media",
        # %endif
    }


@pytest.fixture
def load_module() -> LoadModule:
    """Runs a module of `config` anew in an environment, and gives its names; the running settings stay as they are."""

    def load(name: str, environ: Environ) -> SimpleNamespace:
        with pytest.MonkeyPatch.context() as patch:
            for variable in list(os.environ):
                patch.delenv(variable)
            for variable, value in environ.items():
                patch.setenv(variable, value)
            for module in ("config.env", "config.server", "config.settings.base", name):
                patch.delitem(sys.modules, module, raising=False)
            try:
                return SimpleNamespace(**runpy.run_module(name))
            finally:
                logging.captureWarnings(False)  # as production does

    return load


@pytest.fixture
def run_python() -> RunPython:
    """Runs Python in the project's folder, with nothing but the given environment."""

    def run(*arguments: str, environ: Environ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
