"""A developer's machine needs no server and no environment."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import LoadModule

# Wins over what the developer's own .env says.
NOTHING_SET = {"DATABASE_URL": "", "DJANGO_SECRET_KEY": ""}


def test_development_needs_no_server(load_module: "LoadModule") -> None:
    settings = load_module("config.settings.development", NOTHING_SET)
    assert settings.DEBUG is True
    assert settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
    assert settings.CACHES["default"]["BACKEND"].endswith("LocMemCache")
    assert settings.MAILERS["default"]["BACKEND"].endswith("console.EmailBackend")
    assert settings.STORAGES["default"]["BACKEND"].endswith("FileSystemStorage")
    assert settings.SECRET_KEY


def test_development_answers_this_machine_only(load_module: "LoadModule") -> None:
    settings = load_module("config.settings.development", NOTHING_SET)
    assert settings.ALLOWED_HOSTS == ["localhost", "127.0.0.1", "[::1]"]


def test_development_can_use_the_database_of_production(
    load_module: "LoadModule", production_environ: dict[str, str]
) -> None:
    development = load_module("config.settings.development", production_environ).DATABASES["default"]
    production = load_module("config.settings.production", production_environ).DATABASES["default"]
    # %if cookiecutter.database == "postgresql"
    assert development["ENGINE"] == "django.db.backends.postgresql"
    # %else
    assert development["ENGINE"] == production["ENGINE"]
    # %endif
    for key in ("NAME", "HOST", "USER"):
        assert development.get(key) == production.get(key)
