"""What `check --deploy` should say and Django does not.

https://docs.djangoproject.com/en/stable/topics/checks/
"""

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.utils.module_loading import import_string

# Reserved for documentation and tests (RFC 2606).
PLACEHOLDER_DOMAINS = ("example.com", "example.net", "example.org", "example")
# Each is set by a platform that runs several instances, or moves one to another machine.
PLATFORM_MARKERS = ("KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4", "K_SERVICE", "FLY_MACHINE_ID", "DYNO")

W001 = checks.Warning(
    "ALLOWED_HOSTS lets every host name in.", hint="Name the hosts in DJANGO_ALLOWED_HOSTS.", id="operations.W001"
)
W002 = checks.Warning(
    "No Content-Security-Policy is sent.", hint="Set SECURE_CSP or SECURE_CSP_REPORT_ONLY.", id="operations.W002"
)
W003 = checks.Warning(
    "ALLOWED_HOSTS names a domain that is reserved for examples.",
    hint="Put the real domain into DJANGO_ALLOWED_HOSTS.",
    id="operations.W003",
)
W004 = checks.Warning(
    "The database is a file on this instance's disk, which its platform may replace or multiply.",
    hint="Use a database server, or a platform that keeps one instance on one disk.",
    id="operations.W004",
)
W005 = checks.Warning(
    "Uploads go to this instance's disk, which its platform may replace or multiply.",
    hint="Use an object store, or a platform that keeps one instance on one disk.",
    id="operations.W005",
)
I001 = checks.Info("Errors are not reported to Sentry.", hint="Set SENTRY_DSN.", id="operations.I001")

Apps = Sequence[AppConfig] | None


@checks.register(checks.Tags.security, deploy=True)
def check_wildcard_hosts(app_configs: Apps, **kwargs: Any) -> list[checks.CheckMessage]:
    return [W001] if any(host in ("*", ".") for host in settings.ALLOWED_HOSTS) else []


@checks.register(checks.Tags.security, deploy=True)
def check_content_security_policy(app_configs: Apps, **kwargs: Any) -> list[checks.CheckMessage]:
    return [] if settings.SECURE_CSP or settings.SECURE_CSP_REPORT_ONLY else [W002]


@checks.register(checks.Tags.security, deploy=True)
def check_placeholder_domain(app_configs: Apps, **kwargs: Any) -> list[checks.CheckMessage]:
    hosts = [f".{host.lstrip('.').lower()}" for host in settings.ALLOWED_HOSTS]
    return [W003] if any(host.endswith(f".{domain}") for host in hosts for domain in PLACEHOLDER_DOMAINS) else []


@checks.register(checks.Tags.compatibility, deploy=True)
def check_database_on_disk(app_configs: Apps, **kwargs: Any) -> list[checks.CheckMessage]:
    return [W004] if connection.vendor == "sqlite" and may_have_several_instances() else []


@checks.register(checks.Tags.files, deploy=True)
def check_uploads_on_disk(app_configs: Apps, **kwargs: Any) -> list[checks.CheckMessage]:
    storage = import_string(settings.STORAGES["default"]["BACKEND"])
    return [W005] if issubclass(storage, FileSystemStorage) and may_have_several_instances() else []


@checks.register(deploy=True)
def check_error_reporting(app_configs: Apps, **kwargs: Any) -> list[checks.CheckMessage]:
    return [] if getattr(settings, "SENTRY_DSN", "") else [I001]


def may_have_several_instances() -> bool:
    return any(marker in os.environ for marker in PLATFORM_MARKERS)
