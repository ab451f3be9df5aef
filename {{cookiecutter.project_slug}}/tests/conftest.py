"""What several tests share: requests, clients that leave, a receiver, and production's environment and settings."""

import asyncio
import logging
import os
import runpy
import string
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client
from pytest_django.fixtures import Settings

from apps.observability.request_ids import begin_request, end_request

PROJECT = Path(__file__).resolve().parents[1]

type Environ = Mapping[str, str]
type LeaveEarly = Callable[..., None]
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
def leave_early() -> LeaveEarly:
    """Asks a middleware for a path, and leaves while the view is at work, after ``meanwhile()``."""

    def leave(middleware: Callable[..., Any], path: str = "/", meanwhile: Callable[[], None] = lambda: None) -> None:
        async def ask() -> None:
            begun = asyncio.Event()

            async def never_answer(request: HttpRequest) -> HttpResponse:
                begun.set()
                await asyncio.Event().wait()
                raise AssertionError

            response = asyncio.ensure_future(middleware(never_answer)(AsyncRequestFactory().get(path)))
            await begun.wait()
            meanwhile()
            response.cancel()
            await response

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ask())

    return leave


@pytest.fixture
def request_id() -> Iterator[str]:
    yield begin_request("a-request")
    end_request()


class Sink(HTTPServer):
    """Stands where what is sent elsewhere would arrive, and keeps the path, headers and body of each POST."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SinkHandler)
        self.received: list[tuple[str, Message, bytes]] = []


class SinkHandler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Not a word: the default writes to standard error."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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
