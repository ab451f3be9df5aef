"""Warnings that Django's own `check --deploy` does not have.

https://docs.djangoproject.com/en/stable/topics/checks/
"""

import os
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.utils.module_loading import import_string

# Reserved for documentation and tests (RFC 2606).
EXAMPLES = (".example.com", ".example.net", ".example.org", ".example")
# Platforms that run several instances, or move one to another disk, set these.
PLATFORMS = (
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI_V4",
    "K_SERVICE",
    "FLY_MACHINE_ID",
    "DYNO",
)

W001 = checks.Warning(
    "No Content-Security-Policy is sent.",
    hint="Set SECURE_CSP or SECURE_CSP_REPORT_ONLY.",
    id="core.W001",
)
W002 = checks.Warning(
    "ALLOWED_HOSTS allows every host, or a host that is reserved for examples.",
    hint="Put the real host names into DJANGO_ALLOWED_HOSTS.",
    id="core.W002",
)
W003 = checks.Warning(
    "The database or uploads are on a disk that the platform may replace or copy.",
    hint="Use a server, or a platform that keeps one instance on one disk.",
    id="core.W003",
)
I001 = checks.Info("Errors are not sent to Sentry.", "Set SENTRY_DSN.", id="core.I001")


@checks.register(deploy=True)
def check_production(**kwargs: Any) -> list[checks.CheckMessage]:
    hosts = [f".{host.lstrip('.').lower()}" for host in settings.ALLOWED_HOSTS]
    uploads = import_string(settings.STORAGES["default"]["BACKEND"])
    on_disk = connection.vendor == "sqlite" or issubclass(uploads, FileSystemStorage)
    problems = (
        (W001, not settings.SECURE_CSP and not settings.SECURE_CSP_REPORT_ONLY),
        (W002, any(host == ".*" or host.endswith(EXAMPLES) for host in hosts)),
        (W003, on_disk and any(platform in os.environ for platform in PLATFORMS)),
        (I001, not getattr(settings, "SENTRY_DSN", "")),
    )
    return [message for message, is_there in problems if is_there]
