"""Settings for production: what differs between deployments comes from the environment, checked before anything starts."""

import logging
import re
from importlib import import_module

from apps.observability.logs import LEVELS, json_logging
from apps.observability.sentry import start_sentry
from config.env import env
from config.settings.base import *

DEBUG = False

# Secrets and hosts

SECRET_KEY = env.str("DJANGO_SECRET_KEY")
env.require(
    "DJANGO_SECRET_KEY", len(SECRET_KEY) >= 50 and len(set(SECRET_KEY)) >= 5, "must be 50 random characters or more"
)
SECRET_KEY_FALLBACKS = env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])

ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS")
env.require(
    "DJANGO_ALLOWED_HOSTS",
    ALLOWED_HOSTS and all(re.fullmatch(r"\.?[\w-]+(\.[\w-]+)*|\[[\da-fA-F:.]+\]", host) for host in ALLOWED_HOSTS),
    "must be host names without scheme or port, separated by commas; * is refused",
)
CSRF_TRUSTED_ORIGINS = env.list(
    "DJANGO_CSRF_TRUSTED_ORIGINS",
    default=[f"https://{'*' if host.startswith('.') else ''}{host}" for host in ALLOWED_HOSTS],
)
env.require(
    "DJANGO_CSRF_TRUSTED_ORIGINS",
    all(origin.startswith(("https://", "http://")) for origin in CSRF_TRUSTED_ORIGINS),
    "must be origins such as https://www.example.com, separated by commas",
)

# HTTPS: the proxy ends TLS; trusted_proxy_middleware drops its header where it comes from anywhere else

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("DJANGO_SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = env.count("DJANGO_SECURE_HSTS_SECONDS", default=300)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("DJANGO_SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
SECURE_HSTS_PRELOAD = env.bool("DJANGO_SECURE_HSTS_PRELOAD", default=True)

# A browser takes a __Host- cookie over HTTPS only, from this host only, and never from a subdomain.
SESSION_COOKIE_NAME = "__Host-sessionid"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"
CSRF_COOKIE_SECURE = True
LANGUAGE_COOKIE_NAME = "__Secure-language"
LANGUAGE_COOKIE_SECURE = True
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"

# Database

READ_ONLY = env.bool("DJANGO_READ_ONLY", default=False)
# %if cookiecutter.database == "sqlite"
DATABASES = {
    "default": env.db_url("DATABASE_URL", default="")
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "data" / "db.sqlite3"}
}
env.require("DATABASE_URL", DATABASES["default"]["ENGINE"].endswith("sqlite3"), "must begin with sqlite:///")
# %if cookiecutter.interface == "wsgi"
DATABASES["default"]["CONN_MAX_AGE"] = env.count("DATABASE_CONN_MAX_AGE", default=60)
# %else
# Under ASGI each request has a thread of its own, whose connection nobody would use again.
DATABASES["default"]["CONN_MAX_AGE"] = env.count("DATABASE_CONN_MAX_AGE", default=0)
# %endif
DATABASES["default"]["OPTIONS"] = {
    # Readers never wait for the writer, and a writer waits its turn from the start of its transaction: one that
    # began as a reader cannot wait, it fails at once with "database is locked". Who only reads may not take turns.
    "transaction_mode": "DEFERRED" if READ_ONLY else "IMMEDIATE",
    "timeout": 5,
    **DATABASES["default"].get("OPTIONS", {}),
    # Not from the URL, which must not lift a read-only session.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    + ("; PRAGMA query_only=ON" if READ_ONLY else ""),
}

# %else
DATABASES = {"default": env.db_url("DATABASE_URL")}
if replica := env.db_url("DATABASE_REPLICA_URL", default=""):
    DATABASES["replica"] = {**replica, "TEST": {"MIRROR": "default"}}
    DATABASE_ROUTERS = ["config.routers.ReplicaRouter"]
STATEMENT_TIMEOUT_S = env.count("DATABASE_STATEMENT_TIMEOUT", default=30)

# %endif
# %if cookiecutter.database == "postgresql"
# %if cookiecutter.interface == "wsgi"
# Each thread of a worker keeps its connection, and so does the readiness check: a pool would only hand them around.
POOL_MAX_SIZE = env.count("DATABASE_POOL_MAX_SIZE", default=0)
CONN_MAX_AGE = env.count("DATABASE_CONN_MAX_AGE", default=60)
# While the database is away a thread is held up for so long.
CONNECT_TIMEOUT_S = 2

# %else
POOL_MAX_SIZE = env.count("DATABASE_POOL_MAX_SIZE", default=10)
# Without the pool (DATABASE_POOL_MAX_SIZE=0, for instance behind PgBouncer) each request opens its own connection:
# under ASGI it has a thread of its own, whose connection nobody would use again.
CONN_MAX_AGE = env.count("DATABASE_CONN_MAX_AGE", default=0)
CONNECT_TIMEOUT_S = 5

# %endif
for alias, database in DATABASES.items():
    variable = "DATABASE_REPLICA_URL" if alias == "replica" else "DATABASE_URL"
    env.require(variable, database.get("ENGINE") == "django.db.backends.postgresql", "must begin with postgresql://")
    session: dict[str, int | str] = {
        "statement_timeout": STATEMENT_TIMEOUT_S * 1000,
        "idle_in_transaction_session_timeout": 60_000,
    }
    if READ_ONLY or alias == "replica":
        session["default_transaction_read_only"] = "on"
    options = database.get("OPTIONS", {})
    # Django's, but for the check of connections that were kept.
    database["ENGINE"] = "apps.operations.postgresql"
    database["CONN_HEALTH_CHECKS"] = True
    database["CONN_MAX_AGE"] = 0 if POOL_MAX_SIZE else CONN_MAX_AGE
    database["OPTIONS"] = {
        "application_name": "{{ cookiecutter.project_slug }}",
        "connect_timeout": CONNECT_TIMEOUT_S,
        # A peer that no longer answers is given up after 15 s, not after the kernel's quarter of an hour.
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 30,
        **options,
        # Behind what the URL asks for, which must not lift a timeout or a read-only session.
        "options": " ".join([options.get("options", ""), *(f"-c {name}={value}" for name, value in session.items())]),
        "pool": POOL_MAX_SIZE
        and {
            "min_size": 1,
            "max_size": POOL_MAX_SIZE,
            "check": database.get("CONN_HEALTH_CHECKS") and import_module("apps.operations.pool").check_connection,
            # While the database is away a thread is held up for 2 s at most, and a connection is tried each second:
            # the pool's own attempts grow rarer until they are minutes apart.
            "timeout": 2,
            "reconnect_timeout": 1,
        },
    }

# %endif
# %if cookiecutter.database == "mysql"
for alias, database in DATABASES.items():
    variable = "DATABASE_REPLICA_URL" if alias == "replica" else "DATABASE_URL"
    env.require(variable, database.get("ENGINE") == "django.db.backends.mysql", "must begin with mysql://")
    # Only MySQL reads the first comment and counts in milliseconds, only MariaDB the second and counts in seconds.
    session = (
        "sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'), innodb_lock_wait_timeout = 10, wait_timeout = 28800"
        f" /*!50708 , max_execution_time = {STATEMENT_TIMEOUT_S * 1000} */"
        f" /*M!100101 , max_statement_time = {STATEMENT_TIMEOUT_S} */"
    )
    if READ_ONLY or alias == "replica":
        # Before 11.1 MariaDB knows the old name only, which MySQL has dropped.
        session += " /*!50720 , transaction_read_only = ON */ /*M!100101 , tx_read_only = ON */"
    database["CONN_HEALTH_CHECKS"] = True
    # %if cookiecutter.interface == "wsgi"
    database["CONN_MAX_AGE"] = env.count("DATABASE_CONN_MAX_AGE", default=60)
    # %else
    # Under ASGI each request has a thread of its own, whose connection nobody would use again.
    database["CONN_MAX_AGE"] = env.count("DATABASE_CONN_MAX_AGE", default=0)
    # %endif
    database["OPTIONS"] = {
        "charset": "utf8mb4",
        "connect_timeout": 5,
        **database.get("OPTIONS", {}),
        # Not from the URL, which must not lift a timeout or a read-only session.
        "init_command": f"SET {session}",
    }
    if STATEMENT_TIMEOUT_S:
        # A peer that no longer answers is given up soon after its statement should have been stopped.
        database["OPTIONS"]["read_timeout"] = STATEMENT_TIMEOUT_S + 5

# %endif
# Cache and sessions

# %if cookiecutter.cache == "redis"
CACHES = {
    "default": {
        "BACKEND": "apps.operations.cache.FailSafeCache",
        "SERVER_BACKEND": "django.core.cache.backends.redis.RedisCache",
        "SERVER_ERRORS": ["redis.exceptions.RedisError"],
        "LOCATION": env.address("CACHE_URL", ("redis", "rediss")),
        "KEY_PREFIX": "{{ cookiecutter.project_slug }}",
        # Seconds. Nothing is tried twice: the client of a Redis class would, Django's pool does not.
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    }
}

# %endif
# %if cookiecutter.cache == "memcached"
CACHES = {
    "default": {
        "BACKEND": "apps.operations.cache.FailSafeCache",
        "SERVER_BACKEND": "apps.operations.memcached.MemcachedCache",
        "SERVER_ERRORS": ["pymemcache.exceptions.MemcacheError"],
        "LOCATION": env.servers("CACHE_URL", "memcached"),
        "KEY_PREFIX": "{{ cookiecutter.project_slug }}",
        # Seconds; a connection that nobody used for so long may have been dropped on the way.
        "OPTIONS": {
            "connect_timeout": 0.5,
            "timeout": 0.5,
            "no_delay": True,
            "use_pooling": True,
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
        # Above Django's own limit of 300 entries sessions and pages would push each other out.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

# %endif
# %if cookiecutter.task_queue == "celery"
# Tasks: config/celery.py has what does not differ between deployments

BROKER_SCHEMES = ("redis", "rediss", "amqp", "amqps")
# %if cookiecutter.cache == "redis"
CELERY_BROKER_URL = env.address("CELERY_BROKER_URL", BROKER_SCHEMES, default="") or env.str("CACHE_URL")

# %else
CELERY_BROKER_URL = env.address("CELERY_BROKER_URL", BROKER_SCHEMES)

# %endif
# %endif
# Mail

MAILERS = {"default": env.mailer("EMAIL_URL", default="smtp://localhost:25")}
ADMINS = env.list("DJANGO_ADMINS", default=[])

# Static files and uploads

if static_host := env.address("DJANGO_STATIC_HOST", ("https",), default="").rstrip("/"):
    STATIC_URL = f"{static_host}/static/"
    for directive in ("script-src", "style-src", "img-src", "font-src"):
        SECURE_CSP[directive].append(static_host)

# %if cookiecutter.media_storage == "s3"
AWS_KEYS = env.str("AWS_ACCESS_KEY_ID", default=""), env.str("AWS_SECRET_ACCESS_KEY", default="")
env.require(
    "AWS_SECRET_ACCESS_KEY", all(AWS_KEYS) or not any(AWS_KEYS), "goes with AWS_ACCESS_KEY_ID: set both or none"
)
S3_BUCKET = env.str("AWS_STORAGE_BUCKET_NAME")
env.require("AWS_STORAGE_BUCKET_NAME", re.fullmatch(r"[\w.-]{3,63}", S3_BUCKET), "must be the name of a bucket")
S3_REGION = env.str("AWS_S3_REGION_NAME", default="us-east-1")
S3_ENDPOINT = env.address("AWS_S3_ENDPOINT_URL", ("https", "http"), default="").rstrip("/")
S3_CUSTOM_DOMAIN = env.str("AWS_S3_CUSTOM_DOMAIN", default="")
env.require("AWS_S3_CUSTOM_DOMAIN", re.fullmatch(r"([\w-]+(\.[\w-]+)+)?", S3_CUSTOM_DOMAIN), "must be a bare host name")
STORAGES["default"] = {
    "BACKEND": "apps.operations.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": S3_BUCKET,
        "region_name": S3_REGION,
        "endpoint_url": S3_ENDPOINT or None,
        # Amazon's own URLs name the bucket in the host; other stores may have no host for each bucket.
        "addressing_style": "path" if S3_ENDPOINT else "virtual",
        "custom_domain": S3_CUSTOM_DOMAIN or None,
        # Without keys boto3 asks for those of the machine's own role.
        "access_key": AWS_KEYS[0] or None,
        "secret_key": AWS_KEYS[1] or None,
        # The bucket's policy decides who may read, not an ACL on each object; URLs are signed and expire.
        "default_acl": None,
        "querystring_auth": True,
        "querystring_expire": 3600,
        "signature_version": "s3v4",
        "file_overwrite": False,
    },
}
if S3_CUSTOM_DOMAIN:
    MEDIA_SOURCE = f"https://{S3_CUSTOM_DOMAIN}"
elif S3_ENDPOINT:
    MEDIA_SOURCE = f"{S3_ENDPOINT}/{S3_BUCKET}/"
else:
    S3_HOST = "s3.amazonaws.com" if S3_REGION == "us-east-1" else f"s3.{S3_REGION}.amazonaws.com"
    # The certificate covers one label in front of the host: a name with dots stands in the path.
    MEDIA_SOURCE = f"https://{S3_HOST}/{S3_BUCKET}/" if "." in S3_BUCKET else f"https://{S3_BUCKET}.{S3_HOST}"
# %endif
# %if cookiecutter.media_storage == "gcs"
GS_BUCKET_NAME = env.str("GS_BUCKET_NAME")
env.require("GS_BUCKET_NAME", re.fullmatch(r"[\w.-]{3,222}", GS_BUCKET_NAME), "must be the name of a bucket")
STORAGES["default"] = {
    "BACKEND": "apps.operations.gcs.GoogleCloudStorage",
    "OPTIONS": {
        "bucket_name": GS_BUCKET_NAME,
        # The bucket's policy decides who may read, not an ACL on each object; URLs are signed and expire.
        "default_acl": None,
        "querystring_auth": True,
        "expiration": 3600,
        "file_overwrite": False,
    },
}
MEDIA_SOURCE = f"https://storage.googleapis.com/{GS_BUCKET_NAME}/"
# %endif
# %if cookiecutter.media_storage == "azure"
AZURE_ACCOUNT_NAME = env.str("AZURE_ACCOUNT_NAME")
env.require("AZURE_ACCOUNT_NAME", re.fullmatch(r"[a-z\d]{3,24}", AZURE_ACCOUNT_NAME), "must be the name of an account")
AZURE_CONTAINER = env.str("AZURE_CONTAINER")
env.require("AZURE_CONTAINER", re.fullmatch(r"[a-z\d-]{3,63}", AZURE_CONTAINER), "must be the name of a container")
STORAGES["default"] = {
    "BACKEND": "apps.operations.azure.AzureStorage",
    "OPTIONS": {
        "account_name": AZURE_ACCOUNT_NAME,
        "azure_container": AZURE_CONTAINER,
        # Without it URLs would not be signed.
        "expiration_secs": 3600,
        "overwrite_files": False,
    },
}
MEDIA_SOURCE = f"https://{AZURE_ACCOUNT_NAME}.blob.core.windows.net/{AZURE_CONTAINER}/"
# %endif
# %if cookiecutter.media_storage != "filesystem"
# Where uploads are shown from.
SECURE_CSP["img-src"].append(MEDIA_SOURCE)
SECURE_CSP["media-src"].append(MEDIA_SOURCE)

# %endif
# Content-Security-Policy: watch a new policy in report-only mode before it is enforced

if report_uri := env.address("DJANGO_CSP_REPORT_URI", ("https", "http"), default=""):
    SECURE_CSP["report-uri"] = [report_uri]
if env.bool("DJANGO_CSP_REPORT_ONLY", default=False):
    SECURE_CSP_REPORT_ONLY = SECURE_CSP.copy()
    SECURE_CSP.clear()

# Logs and errors

LOG_LEVEL = env.str("DJANGO_LOG_LEVEL", default="INFO").upper()
env.require("DJANGO_LOG_LEVEL", LOG_LEVEL in LEVELS, f"must be one of {', '.join(LEVELS)}")
LOGGING = json_logging(LOG_LEVEL)
# %if cookiecutter.database == "postgresql"
# At INFO the pool writes three lines a request.
LOGGING["loggers"]["psycopg.pool"] = {"level": "WARNING"}
# %endif
# %if cookiecutter.interface == "asgi"
# uvicorn repeats its messages with the terminal's colour codes in this field.
LOGGING["formatters"]["json"]["reserved_attrs"].append("color_message")
# %endif
# %if cookiecutter.task_queue == "celery"
# The arguments of a task are in this field, and in the pool's lines at DEBUG.
LOGGING["formatters"]["json"]["reserved_attrs"].append("data")
LOGGING["loggers"]["celery.pool"] = {"level": "INFO"}
# The pool of processes tells of one that was lost by a logger that hands nothing on.
LOGGING["loggers"]["multiprocessing"] = {"handlers": ["stdout"], "level": "INFO", "propagate": False}
# %endif
# %if cookiecutter.media_storage == "s3"
# At DEBUG it writes the contents of requests.
LOGGING["loggers"]["botocore"] = {"level": "INFO"}
# %endif
# %if cookiecutter.media_storage == "azure"
# At INFO it writes each request with its headers, and which ways to an identity it tries.
LOGGING["loggers"]["azure"] = {"level": "WARNING"}
# %endif
logging.captureWarnings(True)
# No line names thread, process or task: https://docs.python.org/3/howto/logging.html#optimization
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging.logAsyncioTasks = False  # type: ignore[attr-defined]
if ADMINS:
    LOGGING["handlers"]["mail_admins"] = {"class": "apps.observability.mail.AdminMailHandler", "level": "ERROR"}
    LOGGING["loggers"]["django.request"]["handlers"] = ["mail_admins"]

SENTRY_DSN = env.address("SENTRY_DSN", ("https", "http"), default="")
env.require("SENTRY_DSN", not SENTRY_DSN or re.fullmatch(r"\w+://\w+(:\w*)?@.+/\d+", SENTRY_DSN), "must be a whole DSN")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", default="production")
SENTRY_RELEASE = env.str("SENTRY_RELEASE", default="")
SENTRY_TRACES_SAMPLE_RATE = env.float("SENTRY_TRACES_SAMPLE_RATE", default=0.1)
env.require("SENTRY_TRACES_SAMPLE_RATE", 0 <= SENTRY_TRACES_SAMPLE_RATE <= 1, "must be a number from 0 to 1")

# %if cookiecutter.metrics == "opentelemetry"
# Traces and metrics

OTEL_TRACES_SAMPLER = env.str("OTEL_TRACES_SAMPLER", default="parentbased_traceidratio")
env.require(
    "OTEL_TRACES_SAMPLER",
    re.fullmatch("(parentbased_)?(always_on|always_off|traceidratio)", OTEL_TRACES_SAMPLER),
    "must be always_on, always_off or traceidratio, with or without parentbased_ before it",
)
OTEL_TRACES_SAMPLER_ARG = env.float("OTEL_TRACES_SAMPLER_ARG", default=0.1)
env.require("OTEL_TRACES_SAMPLER_ARG", 0 <= OTEL_TRACES_SAMPLER_ARG <= 1, "must be a number from 0 to 1")
OTEL_HEADERS = env.str("OTEL_EXPORTER_OTLP_HEADERS", default="")
OTEL_SERVICE_NAME = env.str("OTEL_SERVICE_NAME", default="{{ cookiecutter.project_slug }}")
if otel_endpoint := env.address("OTEL_EXPORTER_OTLP_ENDPOINT", ("https", "http"), default=""):
    OPENTELEMETRY = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otel_endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": OTEL_HEADERS,
        "OTEL_SERVICE_NAME": OTEL_SERVICE_NAME,
        "OTEL_TRACES_SAMPLER": OTEL_TRACES_SAMPLER,
        "OTEL_TRACES_SAMPLER_ARG": str(OTEL_TRACES_SAMPLER_ARG),
    }
    MIDDLEWARE.insert(
        MIDDLEWARE.index("apps.health.middleware.health_middleware") + 1,
        "apps.observability.telemetry.telemetry_middleware",
    )
    LOGGING["formatters"]["json"]["()"] = "apps.observability.telemetry.TracedJsonFormatter"
    LOGGING["filters"]["collector_outage"] = {"()": "apps.observability.outages.OncePerMinute"}
    for module in (
        "exporter.otlp.proto.http.metric_exporter",
        "exporter.otlp.proto.http.trace_exporter",
        "sdk._shared_internal",
        "sdk.metrics._internal.export",
    ):
        LOGGING["loggers"][f"opentelemetry.{module}"] = {"filters": ["collector_outage"]}

# %endif
# The server's variables belong to the report as well.
import_module("config.server")
env.stop_on_problems()

if SENTRY_DSN:
    MIDDLEWARE.insert(
        MIDDLEWARE.index("apps.health.middleware.health_middleware") + 1,
        "apps.observability.sentry_integration.sentry_middleware",
    )
    start_sentry(SENTRY_DSN, SENTRY_ENVIRONMENT, SENTRY_RELEASE, SENTRY_TRACES_SAMPLE_RATE)
