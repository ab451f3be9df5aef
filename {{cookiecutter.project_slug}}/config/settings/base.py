"""Settings that all environments share; they are safe as they are."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from django.core.files.storage import FileSystemStorage
from django.utils.csp import CSP
from whitenoise.compress import Compressor

from config.env import env

# Lets a class be written as in its types: ModelAdmin[Item].
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parents[2]

PROJECT_NAME = "{{ cookiecutter.__project_name }}"
PROJECT_DESCRIPTION = "{{ cookiecutter.__description }}"
SECURITY_CONTACT = "{{ cookiecutter.author_email }}"
ADMIN_URL = env.str("DJANGO_ADMIN_URL", default="admin/").strip("/") + "/"
NOBODY = "noreply@{{ cookiecutter.domain_name }}"
DEFAULT_FROM_EMAIL = env.str("DJANGO_DEFAULT_FROM_EMAIL", default=NOBODY)
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# Language and time: stored in UTC, shown in the project's time zone

LANGUAGE_CODE = "en"
# A second one, such as ("de", "Deutsch"), gives the pages a switch.
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "{{ cookiecutter.time_zone }}"

# Applications

INSTALLED_APPS = [
    # %if cookiecutter.accounts == "allauth"
    "config.admin.SecondFactorConfig",
    # %else
    "django.contrib.admin",
    # %endif
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    # %if cookiecutter.accounts == "allauth"
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    # %endif
    # %if cookiecutter.api != "none"
    "corsheaders",
    # %endif
    # %if cookiecutter.api == "drf"
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    # %endif
    # %if cookiecutter.api == "ninja"
    "ninja",
    # %endif
    # %if cookiecutter.flags == "waffle"
    "waffle",
    # %endif
    # Before the applications whose management commands it extends: the first one wins.
    "core",
    # %if cookiecutter.task_queue == "database"
    "django_tasks_db",
    # %endif
    # %if cookiecutter.api != "none"
    "apps.api",
    # %endif
    # %if cookiecutter.accounts == "allauth"
    "apps.accounts",
    # %endif
    "apps.pages",
    "apps.users",
    # just app NAME adds: "apps.NAME",
]

# A request passes through this list from top to bottom.
MIDDLEWARE = [
    "core.health.health_middleware",
    "core.proxies.trusted_proxy_middleware",
    "core.logs.access_middleware",
    # %if cookiecutter.interface == "asgi"
    "core.streams.stream_middleware",
    # %endif
    "django.middleware.security.SecurityMiddleware",
    # %if cookiecutter.api != "none"
    # Before middleware that may answer: a browser may then read a refusal too.
    "corsheaders.middleware.CorsMiddleware",
    # %endif
    # %if cookiecutter.interface == "asgi"
    "core.static.static_middleware",
    # %else
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # %endif
    # %if cookiecutter.metrics == "prometheus"
    # Static files and probes are not counted.
    "core.metrics.metrics_middleware",
    # %endif
    "core.bodies.body_middleware",
    # %if cookiecutter.interface == "asgi"
    "core.loop.ContentSecurityPolicyMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "core.loop.SessionMiddleware",
    *(["core.loop.LocaleMiddleware"] if len(LANGUAGES) > 1 else []),
    "core.loop.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.loop.AuthenticationMiddleware",
    "core.loop.MessageMiddleware",
    # %else
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "core.sessions.SessionMiddleware",
    *(["django.middleware.locale.LocaleMiddleware"] if len(LANGUAGES) > 1 else []),
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    # %endif
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # %if cookiecutter.accounts == "allauth"
    "allauth.account.middleware.AccountMiddleware",
    # %endif
    # %if cookiecutter.flags == "waffle"
    # A flag for a share of people stays as it is for each of them, by a cookie.
    "waffle.middleware.WaffleMiddleware",
    # %endif
    # Last: it turns the response to a log-in into "too many attempts".
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
# %if cookiecutter.interface == "wsgi"
WSGI_APPLICATION = "config.wsgi.application"

# %else
ASGI_APPLICATION = "config.asgi.application"

# %endif
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.pages.context.project",
                # %if cookiecutter.accounts == "allauth"
                "apps.accounts.context.accounts",
                # %endif
            ],
        },
    },
]

# Static files and uploads

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Files that a browser or a crawler looks for at the top: /favicon.ico, /robots.txt
WHITENOISE_ROOT = BASE_DIR / "public"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "data" / "media"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage",
        # The list of all files is no public file.
        "OPTIONS": {"manifest_storage": FileSystemStorage(BASE_DIR)},
    },
}
# %if cookiecutter.media_storage == "none"
# It refuses every file: name another one before a model has a FileField.
STORAGES["default"] = {"BACKEND": "django.core.files.storage.Storage"}
# %endif
# Only hashed copies are served: the originals need not be compressed.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
# Nobody but a debugger fetches source maps, which are large.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = [*Compressor.SKIP_COMPRESS_EXTENSIONS, "map"]

# Bytes: a larger body is answered with 413, and not read.
REQUEST_MAX_BODY_SIZE = 25 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 20

# %if cookiecutter.task_queue == "database"
# Tasks: `manage.py db_worker` runs them from the database

TASKS: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django_tasks_db.DatabaseBackend"}
}

# %endif
# Users and passwords

AUTH_USER_MODEL = "users.User"
# %if cookiecutter.accounts == "none"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "admin:login"
# %else
from config.settings.accounts import *  # noqa: E402

# %endif
LOGIN_REDIRECT_URL = "home"
# %if cookiecutter.task_queue != "none"
# %if cookiecutter.accounts == "none"
# To everybody who is created, in an import too.
# %else
# To everybody who has signed up and confirmed the address.
# %endif
WELCOME_MAIL = env.bool("DJANGO_WELCOME_MAIL", default=False)
# %endif
PASSWORD_HASHERS = [
    "apps.users.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"{VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{VALIDATION}.NumericPasswordValidator"},
]

# Five wrong passwords for one user from one address lock out that pair for 15 minutes;
# 25 wrong passwords for any users lock out the address. The database counts: the lock
# holds for all instances and while the cache is down.
AXES_HANDLER = "core.guessing.GuessingHandler"
AXES_CLIENT_IP_CALLABLE = "core.proxies.client_network"
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# %if cookiecutter.accounts == "allauth"
AXES_USERNAME_CALLABLE = "apps.accounts.guessing.attempted_name"
# %elif cookiecutter.login == "email"
AXES_USERNAME_CALLABLE = "apps.users.models.emails.attempted_email"
# %endif
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_TEMPLATE = "429.html"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

# Sessions and messages

# %if cookiecutter.cache == "database"
# Not through the cache: it is a table too.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
# %else
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
# %endif
# Seconds from the log-in on, for people who do nothing too: a working day.
SESSION_COOKIE_AGE = 12 * 60 * 60
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# %if cookiecutter.api != "none"
# API: pages of other sites may use it only if listed, and without a session

PROJECT_VERSION = "0.1.0"
CORS_ALLOWED_ORIGINS = env.list("DJANGO_CORS_ALLOWED_ORIGINS", default=[])
env.require(
    "DJANGO_CORS_ALLOWED_ORIGINS",
    "*" not in CORS_ALLOWED_ORIGINS,
    "must be origins such as https://app.example.com, separated by commas",
)
CORS_URLS_REGEX = r"^/api/"
CORS_EXPOSE_HEADERS = ["Retry-After", "X-Request-ID"]
API_TOKEN_MAX_AGE = timedelta(
    days=env.count("API_TOKEN_MAX_DAYS", default=365, minimum=1, maximum=10_000)
)
# Limits: by address for anonymous clients, by user for everybody else.
API_RATES = {"anon": "60/min", "user": "600/min"}
# %if cookiecutter.api == "drf"
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "apps.api.throttling.AnonThrottle",
        "apps.api.throttling.UserThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": API_RATES,
    "EXCEPTION_HANDLER": "apps.api.throttling.handle_error",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": PROJECT_NAME,
    "DESCRIPTION": PROJECT_DESCRIPTION,
    "VERSION": PROJECT_VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # What follows it names the group of an operation.
    "SCHEMA_PATH_PREFIX": r"/api/v\d+",
}

# %endif
# %if cookiecutter.api == "ninja"
NINJA_DEFAULT_THROTTLE_RATES = API_RATES
NINJA_PAGINATION_CLASS = "ninja.pagination.PageNumberPagination"
NINJA_PAGINATION_PER_PAGE = 50
NINJA_MAX_PER_PAGE_SIZE = 200

# %endif
# %endif
# Response headers

SECURE_REFERRER_POLICY = "same-origin"
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "media-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
# %if cookiecutter.accounts == "allauth"
if OPENID_CONNECT_ISSUER:
    SECURE_CSP["form-action"].append(OPENID_CONNECT_ISSUER)
# %endif
REFUSED_FEATURES = """
    accelerometer autoplay camera display-capture encrypted-media fullscreen geolocation
    gyroscope magnetometer microphone midi payment usb
"""
PERMISSIONS_POLICY: dict[str, list[str]] = {
    feature: [] for feature in REFUSED_FEATURES.split()
}

# Logs

# What the image was built from: a commit, or a version.
RELEASE = env.str("RELEASE", default="")
LOG_LEVEL = env.str("DJANGO_LOG_LEVEL", default="INFO").upper()
is_level = LOG_LEVEL in logging.getLevelNamesMapping()
env.require("DJANGO_LOG_LEVEL", is_level, "must be DEBUG, INFO, WARNING or ERROR")

# Health: the checks of /health/ready/ by the names in its answer

# %if cookiecutter.cache == "database"
# A table answers as long as its database does.
READINESS_CHECKS = {
    "database": "core.health.check_database",
    "cache": "core.health.check_database",
}
# %else
READINESS_CHECKS = {
    "database": "core.health.check_database",
    "cache": "core.health.check_cache",
}
# %endif
# %if cookiecutter.deployment in ("caddy", "nginx")
# deploy/backup/backup changes the time of a file here when all went well.
BACKUP_MARKS = Path(env.str("BACKUP_MARKS", default="/run/backup"))
# %endif
# An instance takes no new traffic while this file exists.
DRAIN_FILE = Path(env.str("DRAIN_FILE", default="/tmp/draining"))  # noqa: S108

# %if cookiecutter.task_queue != "none"
# A worker touches this file while it works.
HEARTBEAT_FILE = Path(env.str("HEARTBEAT_FILE", default="/tmp/heartbeat"))  # noqa: S108

# %endif
# %if cookiecutter.metrics == "opentelemetry"
# Only production measures, where it is given a collector.
OTEL_ENDPOINT = ""

# %endif
# Proxies: their X-Forwarded-* headers are believed, from private networks only

PRIVATE_NETWORKS = """
    127.0.0.0/8 ::1 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7
    169.254.0.0/16 fe80::/10 100.64.0.0/10
"""
FORWARDED_ALLOW_IPS = env.networks("FORWARDED_ALLOW_IPS", PRIVATE_NETWORKS.split())
# The client is that entry of X-Forwarded-For, counted from the right.
TRUSTED_PROXIES = env.count("TRUSTED_PROXIES", default=1)
