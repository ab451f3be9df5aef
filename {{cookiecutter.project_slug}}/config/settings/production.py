"""Settings for production: read from the environment, checked before the start."""

import logging
import re
from importlib import import_module

# %if cookiecutter.cache == "redis"
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError
from redis.retry import Retry

# %endif
from config import databases
from config.env import env
from config.settings.base import *
from core.logs import json_logging
from core.sentry import start_sentry

DEBUG = False

# Secrets and hosts

SECRET_KEY = env.str("DJANGO_SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])
secrets = {"DJANGO_SECRET_KEY": [SECRET_KEY]}
secrets["DJANGO_SECRET_KEY_FALLBACKS"] = SECRET_KEY_FALLBACKS
for name, keys in secrets.items():
    are_strong = all(len(key) >= 50 and len(set(key)) >= 5 for key in keys)
    env.require(name, are_strong, "must be 50 random characters or more")

ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS")
HOST_NAME = re.compile(r"\.?[\w-]+(\.[\w-]+)*|\[[\da-fA-F:.]+\]")
env.require(
    "DJANGO_ALLOWED_HOSTS",
    ALLOWED_HOSTS and all(HOST_NAME.fullmatch(host) for host in ALLOWED_HOSTS),
    "must be host names without scheme or port, separated by commas; * is refused",
)
CSRF_TRUSTED_ORIGINS = env.list(
    "DJANGO_CSRF_TRUSTED_ORIGINS",
    default=[f"https://{'*' * host.startswith('.')}{host}" for host in ALLOWED_HOSTS],
)
env.require(
    "DJANGO_CSRF_TRUSTED_ORIGINS",
    all(origin.startswith(("https://", "http://")) for origin in CSRF_TRUSTED_ORIGINS),
    "must be origins such as https://www.example.com, separated by commas",
)

# HTTPS: the proxy ends TLS; core.proxies drops this header from anybody else

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("DJANGO_SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = env.count("DJANGO_SECURE_HSTS_SECONDS", default=300)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool(
    "DJANGO_SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True
)
SECURE_HSTS_PRELOAD = env.bool("DJANGO_SECURE_HSTS_PRELOAD", default=True)

# A browser takes a __Host- cookie over HTTPS only, and never from a subdomain.
SESSION_COOKIE_NAME = "__Host-sessionid"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"
CSRF_COOKIE_SECURE = True
# %if cookiecutter.flags == "waffle"
WAFFLE_COOKIE = "__Host-flag-%s"
# %endif
LANGUAGE_COOKIE_NAME = "__Host-language"
LANGUAGE_COOKIE_SECURE = True
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"

# Database

# %if cookiecutter.interface == "wsgi"
CONN_MAX_AGE = env.count("DATABASE_CONN_MAX_AGE", default=60)
# %else
# Under ASGI each request has its own thread: no other would use its connection.
CONN_MAX_AGE = env.count("DATABASE_CONN_MAX_AGE", default=0)
# %endif
READ_ONLY = env.bool("DJANGO_READ_ONLY", default=False)
# %if cookiecutter.database == "sqlite"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "data" / "db.sqlite3",
        **env.db_url("DATABASE_URL", default=""),
    }
}
DATABASES["default"]["CONN_MAX_AGE"] = CONN_MAX_AGE
DATABASES["default"]["OPTIONS"] = databases.connection_options(
    DATABASES["default"].get("OPTIONS", {}), read_only=READ_ONLY
)

# %else
DATABASES = {"default": env.db_url("DATABASE_URL")}
if replica := env.db_url("DATABASE_REPLICA_URL", default=""):
    DATABASES["replica"] = {**replica, "TEST": {"MIRROR": "default"}}
    DATABASE_ROUTERS = ["config.routers.ReplicaRouter"]
STATEMENT_TIMEOUT_S = env.count("DATABASE_STATEMENT_TIMEOUT", default=30)
# %if cookiecutter.database == "postgresql"
PGBOUNCER = env.bool("DATABASE_PGBOUNCER", default=False)
CURE = "cannot pass PgBouncer: unset it, and use ALTER ROLE … SET statement_timeout"
is_set = PGBOUNCER and env.str("DATABASE_STATEMENT_TIMEOUT", default="")
env.require("DATABASE_STATEMENT_TIMEOUT", not is_set, CURE)
# %if cookiecutter.interface == "wsgi"
# Each thread keeps its connection: a pool would only pass connections around.
POOL_MAX_SIZE = 0 if PGBOUNCER else env.count("DATABASE_POOL_MAX_SIZE", default=0)
# %else
# The workers share 40 connections; PgBouncer is a pool itself.
SHARE = max(1, 40 // (import_module("config.server").WORKERS or 1))
POOL_MAX_SIZE = 0 if PGBOUNCER else env.count("DATABASE_POOL_MAX_SIZE", default=SHARE)
# %endif
# %endif
for alias, database in DATABASES.items():
    variable = "DATABASE_REPLICA_URL" if alias == "replica" else "DATABASE_URL"
    is_server = not database.get("ENGINE", "").endswith("sqlite3")
    env.require(variable, is_server, "must name a database server")
    database["CONN_HEALTH_CHECKS"] = True
    # %if cookiecutter.database == "postgresql"
    database["DISABLE_SERVER_SIDE_CURSORS"] = PGBOUNCER
    database["CONN_MAX_AGE"] = 0 if POOL_MAX_SIZE else CONN_MAX_AGE
    database["OPTIONS"] = databases.connection_options(
        database.get("OPTIONS", {}),
        read_only=READ_ONLY or alias == "replica",
        statement_timeout_s=STATEMENT_TIMEOUT_S,
        application_name="{{ cookiecutter.project_slug }}",
        pgbouncer=PGBOUNCER,
        pool_max_size=POOL_MAX_SIZE,
    )

    # %else
    database["CONN_MAX_AGE"] = CONN_MAX_AGE
    database["OPTIONS"] = databases.connection_options(
        database.get("OPTIONS", {}),
        read_only=READ_ONLY or alias == "replica",
        statement_timeout_s=STATEMENT_TIMEOUT_S,
    )

    # %endif
# %endif
# Cache

# %if cookiecutter.cache == "redis"
# Heroku and its like give a server's URL this name.
is_named = env.str("CACHE_URL", default="") or not env.str("REDIS_URL", default="")
CACHE_VARIABLE = "CACHE_URL" if is_named else "REDIS_URL"
RECONNECT = Retry(NoBackoff(), 1, supported_errors=(ReadOnlyError,))
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": env.address(CACHE_VARIABLE, "redis", "rediss"),
        "KEY_PREFIX": "{{ cookiecutter.project_slug }}",
        # Pages work without it while it is down. The timeouts are in seconds.
        "OPTIONS": {
            "IGNORE_EXCEPTIONS": True,
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            # After a failover a kept connection leads to the old primary.
            "CONNECTION_POOL_KWARGS": {"retry": RECONNECT},
        },
    }
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True

# %endif
# %if cookiecutter.cache == "memcached"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": env.servers("CACHE_URL"),
        "KEY_PREFIX": "{{ cookiecutter.project_slug }}",
        # Pages work without it while it is down; it is tried again every 5 s.
        "OPTIONS": {
            "ignore_exc": True,
            "retry_timeout": 5,
            "retry_attempts": 10**9,
            "connect_timeout": 0.5,
            "timeout": 0.5,
            "no_delay": True,
            "use_pooling": True,
            # Seconds; a firewall may have dropped a connection that was idle longer.
            "pool_idle_timeout": 60,
        },
    }
}

# %endif
# %if cookiecutter.cache == "database"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        # Django's own limit is 300 entries.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

# %endif
# %if cookiecutter.task_queue == "celery"
# Tasks: config/celery.py has the options that are the same everywhere

BROKER_SCHEMES = ("redis", "rediss", "amqp", "amqps")
# %if cookiecutter.cache == "redis"
CELERY_BROKER_URL = env.address("CELERY_BROKER_URL", *BROKER_SCHEMES)
if not env.problems.keys() & {CACHE_VARIABLE, "CELERY_BROKER_URL"}:
    from urllib.parse import urlsplit

    # Who clears the cache would delete the tasks.
    urls = (str(CACHES["default"]["LOCATION"]), CELERY_BROKER_URL)
    places = {
        (url.scheme[:5], url.hostname, url.port or 6379, url.path.strip("/") or "0")
        for url in map(urlsplit, urls)
    }
    shared = f"must not be the database of {CACHE_VARIABLE}"
    env.require("CELERY_BROKER_URL", len(places) == 2, shared)

# %else
CELERY_BROKER_URL = env.address("CELERY_BROKER_URL", *BROKER_SCHEMES)

# %endif
# %endif
# Mail

MAILERS = {"default": env.mailer("EMAIL_URL", default="smtp://localhost:25")}
ADMINS = env.list("DJANGO_ADMINS", default=[])

# Static files and uploads

if static_host := env.address("DJANGO_STATIC_HOST", "https", default="").rstrip("/"):
    STATIC_URL = f"{static_host}/static/"
    for directive in ("script-src", "style-src", "img-src", "font-src"):
        SECURE_CSP[directive].append(static_host)

# %if cookiecutter.media_storage in ("s3", "gcs", "azure")
from config.settings.storage import *  # noqa: E402

# %endif
# Content-Security-Policy: try a new policy in report-only mode before you enforce it

if report_uri := env.address("DJANGO_CSP_REPORT_URI", "https", "http", default=""):
    SECURE_CSP["report-uri"] = [report_uri]
if env.bool("DJANGO_CSP_REPORT_ONLY", default=False):
    SECURE_CSP_REPORT_ONLY = SECURE_CSP.copy()
    SECURE_CSP.clear()

# Logs and errors

LOGGING = json_logging(LOG_LEVEL)
if RELEASE:
    LOGGING["formatters"]["json"]["static_fields"] = {"release": RELEASE}
# %if cookiecutter.cache == "redis"
LOGGING["filters"]["outage"] = {"()": "core.logs.OncePerMinute"}
LOGGING["loggers"]["django_redis.cache"] = {"filters": ["outage"]}
# %endif
# %if cookiecutter.database == "postgresql" and cookiecutter.interface == "asgi"
# At INFO the pool writes three lines a request.
LOGGING["loggers"]["psycopg.pool"] = {"level": "WARNING"}
# %endif
# %if cookiecutter.interface == "asgi"
# uvicorn repeats its messages with the terminal's colour codes in this field.
LOGGING["formatters"]["json"]["reserved_attrs"].append("color_message")
# %endif
# %if cookiecutter.task_queue == "celery"
# This field, and the lines of the pool at DEBUG, show the arguments of a task.
LOGGING["formatters"]["json"]["reserved_attrs"].append("data")
LOGGING["loggers"]["celery.pool"] = {"level": "INFO"}
# This logger reports lost processes, and passes nothing on to the root logger.
LOGGING["loggers"]["multiprocessing"] = {"handlers": ["stdout"], "level": "INFO"}
# %endif
# %if cookiecutter.media_storage == "s3"
# At DEBUG it logs the contents of requests.
LOGGING["loggers"]["botocore"] = {"level": "INFO"}
# %endif
# %if cookiecutter.media_storage == "azure"
# At INFO it logs each request with its headers.
LOGGING["loggers"]["azure"] = {"level": "WARNING"}
# %endif
logging.captureWarnings(True)
if ADMINS:
    LOGGING["handlers"]["mail_admins"] = {
        "class": "core.mail.AdminMailHandler",
        "level": "ERROR",
    }
    LOGGING["loggers"]["django.request"]["handlers"] = ["mail_admins"]

SENTRY_DSN = env.address("SENTRY_DSN", "https", "http", default="")
is_whole = not SENTRY_DSN or re.fullmatch(r"\w+://\w+(:\w*)?@.+/\d+", SENTRY_DSN)
env.require("SENTRY_DSN", is_whole, "must be a whole DSN")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", default="production")
SENTRY_RELEASE = env.str("SENTRY_RELEASE", default=RELEASE)
SENTRY_SAMPLE_RATE = env.float("SENTRY_TRACES_SAMPLE_RATE", default=0.1)
is_share = 0 <= SENTRY_SAMPLE_RATE <= 1
env.require("SENTRY_TRACES_SAMPLE_RATE", is_share, "must be a number from 0 to 1")

# %if cookiecutter.metrics == "opentelemetry"
# Traces and metrics: the SDK reads these variables, and others, from the environment

OTEL_ENDPOINT = env.address("OTEL_EXPORTER_OTLP_ENDPOINT", "https", "http", default="")
OTEL_DEFAULTS = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": OTEL_ENDPOINT,
    "OTEL_EXPORTER_OTLP_HEADERS": env.str("OTEL_EXPORTER_OTLP_HEADERS", default=""),
    # Exemplars would show what is left out of metrics.
    "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    "OTEL_SERVICE_NAME": "{{ cookiecutter.project_slug }}",
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.1",
}
if OTEL_ENDPOINT:
    for name, value in OTEL_DEFAULTS.items():
        env.ENVIRON.setdefault(name, value)
    # A collector that is away must not fill the log.
    LOGGING["loggers"]["opentelemetry.exporter"] = {"level": "CRITICAL"}

# %endif
# The report covers the variables of the server too.
import_module("config.server")
env.stop_on_problems()

if SENTRY_DSN:
    start_sentry(SENTRY_DSN, SENTRY_ENVIRONMENT, SENTRY_RELEASE, SENTRY_SAMPLE_RATE)
