"""Settings for the tests: fast, on SQLite unless DATABASE_URL names a database."""

from config.env import env
from config.settings.base import *

DEBUG = False
SECRET_KEY = "for-tests-only"  # noqa: S105
ALLOWED_HOSTS = ["testserver"]

DATABASES = {"default": env.db_url("DATABASE_URL", default="sqlite://:memory:")}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
# %if cookiecutter.task_queue == "database"
TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
# %endif
# %if cookiecutter.task_queue == "celery"
CELERY_TASK_ALWAYS_EAGER = True
# What is enqueued nevertheless stays in this process.
CELERY_BROKER_URL = "memory://"
# %endif

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# The tests run without collectstatic.
WHITENOISE_AUTOREFRESH = True

# client.login() works; tests/test_login.py has the lock-out on.
AXES_ENABLED = False
# %if cookiecutter.accounts == "allauth"
# admin_client works; tests/test_accounts.py asks for the factor.
ADMIN_REQUIRE_MFA = False
# %endif
# Argon2 is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

env.stop_on_problems()
