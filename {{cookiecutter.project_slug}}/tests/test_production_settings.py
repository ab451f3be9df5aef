"""Production's settings follow from the environment, and its safe values hold whatever the environment says."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import LoadModule

type Production = Callable[..., SimpleNamespace]


@pytest.fixture
def production(load_module: "LoadModule", production_environ: dict[str, str]) -> Production:
    """Production's settings in a whole environment with a few variables changed."""
    return lambda **environ: load_module("config.settings.production", production_environ | environ)


def test_nothing_turns_debugging_on(production: Production) -> None:
    assert production(DEBUG="true", DJANGO_DEBUG="true").DEBUG is False


def test_cookies_are_for_https_and_this_host_only(production: Production) -> None:
    settings = production()
    assert (settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE) == ("__Host-sessionid", True)
    assert (settings.CSRF_COOKIE_NAME, settings.CSRF_COOKIE_SECURE) == ("__Host-csrftoken", True)
    assert (settings.LANGUAGE_COOKIE_NAME, settings.LANGUAGE_COOKIE_SECURE) == ("__Secure-language", True)


def test_https_is_insisted_on(production: Production) -> None:
    settings = production()
    assert settings.SECURE_SSL_REDIRECT is True
    assert settings.SECURE_PROXY_SSL_HEADER == ("HTTP_X_FORWARDED_PROTO", "https")
    assert settings.SECURE_HSTS_SECONDS == 300
    assert (settings.SECURE_HSTS_INCLUDE_SUBDOMAINS, settings.SECURE_HSTS_PRELOAD) == (True, True)


def test_https_can_be_ramped_up(production: Production) -> None:
    settings = production(DJANGO_SECURE_HSTS_SECONDS="31536000", DJANGO_SECURE_HSTS_PRELOAD="false")
    assert (settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_PRELOAD) == (31_536_000, False)


def test_forms_are_accepted_from_the_allowed_hosts(production: Production) -> None:
    settings = production(DJANGO_ALLOWED_HOSTS="www.shop.test, .shop.org")
    assert settings.ALLOWED_HOSTS == ["www.shop.test", ".shop.org"]
    assert settings.CSRF_TRUSTED_ORIGINS == ["https://www.shop.test", "https://*.shop.org"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DJANGO_SECRET_KEY", "short"),
        ("DJANGO_SECRET_KEY", "a" * 50),
        ("DJANGO_SECRET_KEY", "django-insecure-" + "abcdefgh" * 8),
        ("DJANGO_ALLOWED_HOSTS", "*"),
        ("DJANGO_ALLOWED_HOSTS", "www.shop.test, *"),
        ("DJANGO_ALLOWED_HOSTS", "https://www.shop.test"),
        ("DJANGO_ALLOWED_HOSTS", ","),
        ("DJANGO_CSRF_TRUSTED_ORIGINS", "www.shop.test"),
        ("DJANGO_LOG_LEVEL", "LOUD"),
        ("DJANGO_STATIC_HOST", "cdn.test"),
        ("EMAIL_URL", "mail.test"),
        ("SENTRY_DSN", "https://sentry.test/1"),
        ("SENTRY_TRACES_SAMPLE_RATE", "2"),
        ("DJANGO_SECURE_HSTS_SECONDS", "-1"),
        ("GRACEFUL_TIMEOUT", "-1"),
        ("PORT", "http"),
        ("DATABASE_URL", "oracle://shop:secret@127.0.0.1/shop"),
        # %if cookiecutter.database != "sqlite"
        ("DATABASE_URL", "sqlite:///shop"),
        ("DATABASE_REPLICA_URL", "oracle://shop:secret@127.0.0.1/shop"),
        # %endif
        # %if cookiecutter.cache == "redis"
        ("CACHE_URL", "http://127.0.0.1:6379"),
        # %endif
        # %if cookiecutter.cache == "memcached"
        ("CACHE_URL", "http://127.0.0.1:11211"),
        ("CACHE_URL", "memcached://"),
        ("CACHE_URL", "memcached://one.test,two.test:port"),
        ("CACHE_URL", "memcached://user:password@one.test"),
        # %endif
        # %if cookiecutter.media_storage == "s3"
        ("AWS_SECRET_ACCESS_KEY", "without the key that it goes with"),
        ("AWS_STORAGE_BUCKET_NAME", "s3://media"),
        ("AWS_S3_CUSTOM_DOMAIN", "https://media.test"),
        ("AWS_S3_ENDPOINT_URL", "s3.test"),
        # %endif
        # %if cookiecutter.media_storage == "gcs"
        ("GS_BUCKET_NAME", "gs://media"),
        # %endif
        # %if cookiecutter.media_storage == "azure"
        ("AZURE_ACCOUNT_NAME", "https://shop.blob.core.windows.net"),
        ("AZURE_CONTAINER", "shop/media"),
        # %endif
    ],
)
def test_what_cannot_be_right_is_refused(production: Production, variable: str, value: str) -> None:
    with pytest.raises(SystemExit) as stop:
        production(**{variable: value})
    problems = [line for line in str(stop.value).splitlines() if line.startswith("  - ")]
    assert [problem.split()[1] for problem in problems] == [variable]


def test_a_cdn_may_serve_what_pages_load(production: Production) -> None:
    settings = production(DJANGO_STATIC_HOST="https://cdn.test/")
    assert settings.STATIC_URL == "https://cdn.test/static/"
    for directive in ("script-src", "style-src", "img-src", "font-src"):
        assert "https://cdn.test" in settings.SECURE_CSP[directive]
    assert "https://cdn.test" not in settings.SECURE_CSP["connect-src"]


def test_the_content_security_policy_is_enforced(production: Production) -> None:
    settings = production(DJANGO_CSP_REPORT_URI="https://csp.test/report")
    assert settings.SECURE_CSP["report-uri"] == ["https://csp.test/report"]
    assert not hasattr(settings, "SECURE_CSP_REPORT_ONLY")


def test_the_content_security_policy_can_be_watched_first(production: Production) -> None:
    settings = production(DJANGO_CSP_REPORT_ONLY="true")
    assert settings.SECURE_CSP == {}
    assert settings.SECURE_CSP_REPORT_ONLY == production().SECURE_CSP


def test_mail_and_the_people_who_hear_of_errors(production: Production) -> None:
    settings = production(DJANGO_ADMINS="ada@shop.test, bob@shop.test", EMAIL_URL="smtp+tls://u:p@mail.test:587")
    assert settings.MAILERS["default"]["OPTIONS"]["host"] == "mail.test"
    assert settings.ADMINS == ["ada@shop.test", "bob@shop.test"]
    assert settings.LOGGING["loggers"]["django.request"]["handlers"] == ["mail_admins"]
    assert "mail_admins" not in production().LOGGING["handlers"]


def test_no_request_is_a_transaction(production: Production) -> None:
    """ATOMIC_REQUESTS makes every async view fail, and holds a connection through the slowest part of a request."""
    for database in production().DATABASES.values():
        assert not database.get("ATOMIC_REQUESTS")


# %if cookiecutter.database == "postgresql"
def test_postgresql_has_limits(production: Production) -> None:
    database = production().DATABASES["default"]
    # %if cookiecutter.interface == "wsgi"
    assert (database["OPTIONS"]["pool"], database["CONN_MAX_AGE"]) == (0, 60)
    # %else
    assert (database["OPTIONS"]["pool"]["max_size"], database["CONN_MAX_AGE"]) == (10, 0)
    # %endif
    assert database["ENGINE"] == "apps.operations.postgresql"
    assert "statement_timeout=30000" in database["OPTIONS"]["options"]
    assert "read_only" not in database["OPTIONS"]["options"]


def test_postgresql_with_a_pool(production: Production) -> None:
    database = production(DATABASE_POOL_MAX_SIZE="7").DATABASES["default"]
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (0, True)
    assert database["OPTIONS"]["pool"]["max_size"] == 7


def test_postgresql_keeps_connections_without_the_pool(production: Production) -> None:
    database = production(DATABASE_POOL_MAX_SIZE="0", DATABASE_CONN_MAX_AGE="9").DATABASES["default"]
    assert (database["OPTIONS"]["pool"], database["CONN_MAX_AGE"]) == (0, 9)


def test_a_postgresql_replica_is_read_only(production: Production) -> None:
    replica = production(DATABASE_REPLICA_URL="postgresql://u:p@replica.test/shop").DATABASES["replica"]
    assert replica["HOST"] == "replica.test"
    assert "default_transaction_read_only=on" in replica["OPTIONS"]["options"]


def test_a_read_only_shell_on_postgresql(production: Production) -> None:
    url = "postgresql://u:p@shop.test/shop?options=-cdefault_transaction_read_only%3Doff"
    options = production(DJANGO_READ_ONLY="true", DATABASE_URL=url).DATABASES["default"]["OPTIONS"]["options"]
    assert options.startswith("-cdefault_transaction_read_only=off ")
    assert options.endswith(" -c default_transaction_read_only=on")  # the last one counts


# %endif
# %if cookiecutter.database == "mysql"
READ_ONLY = " /*!50720 , transaction_read_only = ON */ /*M!100101 , tx_read_only = ON */"


def test_mysql_is_strict_and_has_limits(production: Production) -> None:
    database = production(DATABASE_CONN_MAX_AGE="9", DATABASE_STATEMENT_TIMEOUT="4").DATABASES["default"]
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (9, True)
    assert database["OPTIONS"]["charset"] == "utf8mb4"
    for setting in ("STRICT_TRANS_TABLES", "max_execution_time = 4000 ", "max_statement_time = 4 "):
        assert setting in database["OPTIONS"]["init_command"]
    assert "read_only" not in database["OPTIONS"]["init_command"]


def test_a_mysql_replica_is_read_only(production: Production) -> None:
    replica = production(DATABASE_REPLICA_URL="mariadb://u:p@replica.test/shop").DATABASES["replica"]
    assert replica["HOST"] == "replica.test"
    assert replica["OPTIONS"]["init_command"].endswith(READ_ONLY)


def test_a_read_only_shell_on_mysql(production: Production) -> None:
    url = "mysql://u:p@shop.test/shop?init_command=SET+transaction_read_only=OFF"
    options = production(DJANGO_READ_ONLY="true", DATABASE_URL=url).DATABASES["default"]["OPTIONS"]
    assert options["init_command"].endswith(READ_ONLY)


# %endif
# %if cookiecutter.database == "sqlite"
def test_sqlite_serves_readers_beside_a_writer(production: Production) -> None:
    database = production(DATABASE_CONN_MAX_AGE="9").DATABASES["default"]
    assert database["CONN_MAX_AGE"] == 9
    assert (database["OPTIONS"]["transaction_mode"], database["OPTIONS"]["timeout"]) == ("IMMEDIATE", 5)
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert "query_only" not in database["OPTIONS"]["init_command"]


def test_sqlite_is_a_file_of_the_project_unless_told_otherwise(production: Production) -> None:
    settings = production(DATABASE_URL="")
    assert settings.DATABASES["default"]["NAME"] == settings.BASE_DIR / "data" / "db.sqlite3"


def test_a_read_only_shell_on_sqlite(production: Production) -> None:
    url = "sqlite:////shop.sqlite3?init_command=PRAGMA+query_only=OFF"
    options = production(DJANGO_READ_ONLY="true", DATABASE_URL=url).DATABASES["default"]["OPTIONS"]
    assert options["init_command"].endswith("query_only=ON")
    assert options["transaction_mode"] == "DEFERRED"


# %endif
# %if cookiecutter.cache == "database"
def test_the_cache_is_a_table_of_the_database(production: Production) -> None:
    assert production().CACHES["default"]["BACKEND"].endswith("db.DatabaseCache")


# %endif
def test_static_files_are_named_after_their_content(production: Production) -> None:
    assert production().STORAGES["staticfiles"]["BACKEND"].endswith("CompressedManifestStaticFilesStorage")
