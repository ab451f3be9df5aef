"""Settings for a developer's machine: they need no server and show errors."""

from pathlib import Path
from typing import Any

from config.env import env

# Before the shared settings, which read the environment too.
env.read_env(Path(__file__).resolve().parents[2] / ".env")

from config.settings.base import *  # noqa: E402

DEBUG = True
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="for-development-only")
# For another device in the network, name this machine's address in .env.
ALLOWED_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS += env.list("DJANGO_ALLOWED_HOSTS", default=[])

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        **env.db_url("DATABASE_URL", default=""),
    }
}
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
# %if cookiecutter.cache == "redis"
if cache_url := env.address("CACHE_URL", "redis", "rediss", default=""):
    CACHES["default"] = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": cache_url,
    }
# %endif
# %if cookiecutter.cache == "memcached"
if cache_servers := env.servers("CACHE_URL", default=""):
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": cache_servers,
    }
# %endif
# %if cookiecutter.accounts == "allauth"
ADMIN_REQUIRE_MFA = env.bool("DJANGO_ADMIN_REQUIRE_MFA", default=False)
# %endif
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
if env.str("EMAIL_URL", default=""):
    MAILERS = {"default": env.mailer("EMAIL_URL", default="")}
# %if cookiecutter.task_queue == "database"
if env.bool("TASKS_IMMEDIATE", default=True):
    TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
# %endif
# %if cookiecutter.task_queue == "celery"
CELERY_BROKER_URL = env.address(
    "CELERY_BROKER_URL", "redis", "rediss", "amqp", "amqps", default=""
)
# Without a broker a task runs at once, in the process that enqueues it.
CELERY_TASK_ALWAYS_EAGER = not CELERY_BROKER_URL
# %endif

# %if cookiecutter.media_storage == "s3"
if env.str("AWS_STORAGE_BUCKET_NAME", default=""):
    from config.settings.storage import *

# %endif
# %if cookiecutter.media_storage == "gcs"
if env.str("GS_BUCKET_NAME", default=""):
    from config.settings.storage import *

# %endif
# %if cookiecutter.media_storage == "azure"
if env.str("AZURE_CONTAINER", default=""):
    from config.settings.storage import *

# %endif
# Serve the edited files, without collectstatic.
STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}

INSTALLED_APPS += ["debug_toolbar", "django_browser_reload", "django_migration_linter"]
before = MIDDLEWARE.index("django.middleware.security.SecurityMiddleware") + 1
MIDDLEWARE[before:before] = [
    "debug_toolbar.middleware.DebugToolbarMiddleware",
    "django_browser_reload.middleware.BrowserReloadMiddleware",
]
INTERNAL_IPS = ["127.0.0.1", "::1"]
# %if cookiecutter.interface == "wsgi"
DEBUG_TOOLBAR_CONFIG = {"SHOW_COLLAPSED": True}

# %else
# The panel of the request reads the session on the event loop, which is an error.
DEBUG_TOOLBAR_CONFIG = {
    "SHOW_COLLAPSED": True,
    "DISABLE_PANELS": {
        "debug_toolbar.panels.request.RequestPanel",
        "debug_toolbar.panels.profiling.ProfilingPanel",
        "debug_toolbar.panels.redirects.RedirectsPanel",
    },
}

# %endif

# %if cookiecutter.database == "sqlite"
# SQLite writes a table anew for most changes, with each NOT NULL that it had before:
# tests/test_migrations.py looks for new ones.
TOO_STRICT = ["NOT_NULL"]

# %else
# This check refuses a longer max_length too.
TOO_STRICT = ["ALTER_COLUMN"]

# %endif
# Check only the migrations of the project's own apps.
MIGRATION_LINTER_OPTIONS = {
    "include_apps": [
        app.removeprefix("apps.") for app in INSTALLED_APPS if app.startswith("apps.")
    ],
    "ignore_name": [],
    "exclude_migration_tests": TOO_STRICT,
    "no_cache": True,
    "quiet": ["ok", "ignore"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # An empty list removes Django's own handlers.
        "django": {"handlers": [], "level": "NOTSET"},
        "django.utils.autoreload": {"level": "INFO"},
        # The server writes a line for each request itself.
        "access": {"level": "WARNING"},
    },
}

env.stop_on_problems()
