"""What the tests share: async tests, --sql, an empty cache, production's settings."""

import os
import runpy
import secrets
import sys
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.db import connections
from pytest_django.fixtures import Settings

PRODUCTION_ENV = Path(__file__).with_name("production.env")
# Read again for each environment.
# %if cookiecutter.media_storage in ("filesystem", "none") and cookiecutter.accounts == "none"
MODULES = ("config.env", "config.server", "config.settings.base")
# %else
MODULES = (
    "config.env",
    "config.server",
    # %if cookiecutter.accounts == "allauth"
    "config.settings.accounts",
    # %endif
    "config.settings.base",
    # %if cookiecutter.media_storage not in ("filesystem", "none")
    "config.settings.storage",
    # %endif
)
# %endif
# Of these the tests keep their own: servers, logs, and passwords that are slow to hash.
KEPT = (
    "ALLOWED_HOSTS",
    "CACHES",
    "DATABASE",
    "LOGGING",
    "MAILERS",
    "PASSWORD_HASHERS",
    "STORAGES",
    # %if cookiecutter.task_queue == "database"
    "TASKS",
    # %endif
)

type LoadProduction = Callable[..., SimpleNamespace]


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Keep what one test has counted or cached from the others."""
    cache.clear()
    yield
    cache.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Run `async def` tests as Django's own test cases do: on the test's connection."""
    if iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = async_to_sync(pyfuncitem.obj)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sql", action="store_true", help="show the SQL of each test")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("sql"):
        config.option.log_cli_level = "DEBUG"


@pytest.fixture(autouse=True)
def sql(
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Log each statement, if the option --sql asks for it."""
    if request.config.getoption("sql"):
        caplog.set_level("DEBUG", "django.db.backends")
        for connection in connections.all():
            monkeypatch.setattr(connection, "force_debug_cursor", True)


@pytest.fixture
def production_environ() -> dict[str, str]:
    """Return all that production requires: production.env and a secret key."""
    lines = PRODUCTION_ENV.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line and line[0] != "#")
    return {"DJANGO_SECRET_KEY": secrets.token_urlsafe(48), **dict(pairs)}


@pytest.fixture
def load_production(production_environ: dict[str, str]) -> LoadProduction:
    """Load production's settings with variables changed; the tests' own stay."""

    def load(**changed: str) -> SimpleNamespace:
        with pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in (production_environ | changed).items():
                patch.setenv(name, value)
            for module in MODULES:
                patch.delitem(sys.modules, module, raising=False)
            return SimpleNamespace(**runpy.run_module("config.settings.production"))

    return load


@pytest.fixture
def production(load_production: LoadProduction, settings: Settings) -> None:
    """Run the test with production's settings, apart from those in KEPT."""
    for name, value in vars(load_production()).items():
        is_changed = name.isupper() and getattr(settings, name, None) != value
        if is_changed and not name.startswith(KEPT):
            setattr(settings, name, value)
