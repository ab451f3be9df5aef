"""Warnings that Django's own `check --deploy` does not have.

https://docs.djangoproject.com/en/stable/topics/checks/
"""

import os
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.db import connection

from config.env import read

# What is wrong, and what to do.
MESSAGES = """
W001 No Content-Security-Policy is sent. Set SECURE_CSP or SECURE_CSP_REPORT_ONLY.
W002 ALLOWED_HOSTS has an example or every host. Put yours into DJANGO_ALLOWED_HOSTS.
W003 The platform may replace the disk with the database or uploads. Use a server.
W004 Who reaches the cache or broker, runs code here. Use a password, or a near server.
W005 Uploads or errors are sent by http://. Use https:// for the store and SENTRY_DSN.
W006 The mail server's password is sent in clear. Use smtp+tls:// in EMAIL_URL.
W007 Anybody may choose the address of a client. Name proxies in FORWARDED_ALLOW_IPS.
W008 Mails are sent to port 25 of this machine. Set EMAIL_URL.
W009 MEDIA_ROOT is not writable. Give the folder to the user of the server.
# %if cookiecutter.database == "postgresql"
W010 The database is far and not encrypted. Add ?sslmode=verify-full to DATABASE_URL.
# %elif cookiecutter.database == "mysql"
W010 The database is far and not encrypted. Add ?ssl_mode=VERIFY_IDENTITY to its URL.
# %endif
# %if cookiecutter.database == "postgresql" or (cookiecutter.interface == "wsgi" and cookiecutter.database == "mysql")
W011 The server may take {} connections to the database. Lower WEB_CONCURRENCY.
# %endif
I001 Errors are not sent to Sentry. Set SENTRY_DSN.
"""
# %if cookiecutter.database == "postgresql"
ENCRYPTED = {"require", "verify-ca", "verify-full"}
# %elif cookiecutter.database == "mysql"
ENCRYPTED = {"REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"}
# %endif
# Reserved for documentation and tests (RFC 2606).
EXAMPLES = (".example.com", ".example.net", ".example.org", ".example")
# Names of clusters and of private networks.
PRIVATE = (".svc", ".cluster.local", ".internal")
# Platforms that run several instances, or move one to another disk, set these.
PLATFORMS = """
    KUBERNETES_SERVICE_HOST ECS_CONTAINER_METADATA_URI_V4 K_SERVICE FLY_MACHINE_ID DYNO
    RENDER
"""


def is_far(address: str) -> bool:
    """Tell whether the way to a host or URL may leave the private network."""
    host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    with suppress(ValueError):
        return ip_address(host).is_global
    return "." in host and not host.endswith(PRIVATE)


def is_writable(folder: Path) -> bool:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


# %if cookiecutter.database == "postgresql" or (cookiecutter.interface == "wsgi" and cookiecutter.database == "mysql")
def count_connections() -> int:
    """Return how many connections to the database an instance takes at most."""
    from config import server

    # %if cookiecutter.interface == "wsgi"
    # Each thread keeps a connection, and so does the readiness check.
    each = server.THREADS + 1
    # %if cookiecutter.database == "postgresql"
    each = getattr(settings, "POOL_MAX_SIZE", 0) or each
    # %endif
    # %else
    each = getattr(settings, "POOL_MAX_SIZE", 0)
    # %endif
    return server.WORKERS * each


# %endif
@checks.register(deploy=True)
def check_production(**kwargs: Any) -> list[checks.CheckMessage]:
    """Tell what is allowed, and dangerous or useless in production."""
    hosts = [f".{host.lstrip('.').lower()}" for host in settings.ALLOWED_HOSTS]
    caches = settings.CACHES["default"].get("LOCATION", "")
    servers = [caches] if isinstance(caches, str) else [*caches]
    # %if cookiecutter.task_queue == "celery"
    servers.append(getattr(settings, "CELERY_BROKER_URL", ""))
    # %endif
    dsn = getattr(settings, "SENTRY_DSN", "")
    # %if cookiecutter.media_storage == "s3"
    addresses = [dsn, getattr(settings, "S3_ENDPOINT", "")]
    # %else
    addresses = [dsn]
    # %endif
    mail: Any = settings.MAILERS["default"].get("OPTIONS", {})
    is_clear = mail.get("password") and not {"use_tls", "use_ssl"} & mail.keys()
    is_file = settings.STORAGES["default"]["BACKEND"].endswith("FileSystemStorage")
    is_on_disk = is_file or connection.vendor == "sqlite"
    problems = (
        not settings.SECURE_CSP and not settings.SECURE_CSP_REPORT_ONLY,
        any(host == ".*" or host.endswith(EXAMPLES) for host in hosts),
        is_on_disk and any(name in os.environ for name in PLATFORMS.split()),
        any("@" not in url and is_far(url) for url in servers),
        any(url.startswith("http://") and is_far(url) for url in addresses),
        is_clear and is_far(mail["host"]),
        "0.0.0.0/0" in settings.FORWARDED_ALLOW_IPS,
        # %if cookiecutter.accounts == "allauth"
        not read("EMAIL_URL"),
        # %elif cookiecutter.task_queue == "none"
        settings.ADMINS and not read("EMAIL_URL"),
        # %else
        (settings.ADMINS or settings.WELCOME_MAIL) and not read("EMAIL_URL"),
        # %endif
        is_file and not is_writable(Path(settings.MEDIA_ROOT)),
        # %if cookiecutter.database != "sqlite"
        any(
            is_far(database.get("HOST", ""))
            and not ENCRYPTED & {str(value) for value in database["OPTIONS"].values()}
            for database in settings.DATABASES.values()
        ),
        # %endif
        # %if cookiecutter.database == "postgresql"
        count_connections() > 40 and not getattr(settings, "PGBOUNCER", False),
        # %elif cookiecutter.interface == "wsgi" and cookiecutter.database == "mysql"
        count_connections() > 40,
        # %endif
        not dsn,
    )
    # %if cookiecutter.database == "postgresql" or (cookiecutter.interface == "wsgi" and cookiecutter.database == "mysql")
    lines = MESSAGES.format(count_connections()).strip().splitlines()
    # %else
    lines = MESSAGES.strip().splitlines()
    # %endif
    found: list[checks.CheckMessage] = []
    for line, is_there in zip(lines, problems, strict=True):
        message, _, hint = line.partition(". ")
        kind = checks.Info if line[0] == "I" else checks.Warning
        if is_there:
            found.append(kind(message[5:], hint=hint, id=f"core.{line[:4]}"))
    return found
