"""Settings for a developer's machine: they need no server and show errors."""

from pathlib import Path
from typing import Any

from django.utils.csp import CSP

from config.env import env

# Before the shared settings, which read the environment too.
env.read_env(Path(__file__).resolve().parents[2] / ".env")

from config.settings.base import *  # noqa: E402

DEBUG = True
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="for-development-only")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

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
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
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

# Serve the edited files, without collectstatic.
STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}

# Django's own debug pages have inline styles.
SECURE_CSP["style-src"] = [CSP.SELF, CSP.UNSAFE_INLINE]

INSTALLED_APPS += ["debug_toolbar", "django_migration_linter"]
MIDDLEWARE.insert(
    MIDDLEWARE.index("django.middleware.security.SecurityMiddleware") + 1,
    "debug_toolbar.middleware.DebugToolbarMiddleware",
)
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

# Check only the migrations of the project's own apps.
MIGRATION_LINTER_OPTIONS = {
    "include_apps": [
        app.removeprefix("apps.") for app in INSTALLED_APPS if app.startswith("apps.")
    ],
    "ignore_name": [],
    "no_cache": True,
    "quiet": ["ok", "ignore"],
}

env.stop_on_problems()
