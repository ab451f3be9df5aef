"""What is wrong with this machine or server: system checks with the tag `doctor`.

They ask the network: `manage.py doctor` imports this module, and nothing else does.
https://docs.djangoproject.com/en/stable/topics/checks/
"""

import http.client
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.mail import mailers
from django.core.management import call_command
from django.db import connection

from config.env import env
from core.checks import check_production
from core.health import check_cache

type Faults = Iterator[tuple[str, str]]  # what is wrong, and what to do

DAY_S = 86_400
# %if cookiecutter.database != "sqlite"
IS_SERVER = connection.vendor != "sqlite"
# %endif
HTTPS = 443


def probe(
    level: type[checks.Error | checks.Warning], applies: bool = True
) -> Callable[..., Any]:
    """Register a function that yields faults; what it raises is one of this level.

    The cure is then the function's docstring. No message has a value.
    """

    def register(function: Callable[[], Faults]) -> Callable[..., Any]:
        name = function.__name__
        if not applies:
            return function

        def check(**kwargs: Any) -> list[checks.CheckMessage]:
            make = {"id": f"doctor.{name}"}
            try:
                found = [
                    checks.Warning(what, hint=cure, **make) for what, cure in function()
                ]
            except Exception as error:  # noqa: BLE001 - whatever it is
                cure = function.__doc__
                return [level(type(error).__name__, hint=cure, **make)]
            return [*found] or [checks.Info("is well", **make)]

        return checks.register("doctor", deploy=True)(check)

    return register


@probe(checks.Error, not settings.DEBUG)
def environment() -> Faults:
    """Set the variables that .env.example names."""
    for message in check_production():
        if message.level >= checks.WARNING:
            yield str(message.msg), str(message.hint)
    for name in sorted(os.environ.keys() - env.names - {"DJANGO_SETTINGS_MODULE"}):
        if name.startswith("DJANGO_"):
            yield f"{name} is read by nothing", "Look for its name in .env.example."


@probe(checks.Error)
def database() -> Faults:
    """Start the database's server, or mend DATABASE_URL."""
    connection.ensure_connection()
    connection.check_database_version_supported()
    try:
        call_command("migrate", "--check", stdout=StringIO())
    except SystemExit:
        yield "Migrations wait", "Run manage.py migrate."


# %if cookiecutter.database == "postgresql"
@probe(checks.Warning, IS_SERVER)
def connections() -> Faults:
    """Start the database's server, or mend DATABASE_URL."""
    from core.checks import count_connections

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_connections')::int")
        limit = cursor.fetchone()[0]
    # A release runs beside the one before.
    needed = 2 * int(os.environ.get("INSTANCES") or 1) * count_connections()
    if needed > limit:
        what = f"max_connections is {limit}, and a release may take {needed}"
        yield what, "Raise it, or lower WEB_CONCURRENCY or INSTANCES."


# %endif
# %if cookiecutter.database != "sqlite"
@probe(checks.Warning, IS_SERVER)
def encoding() -> Faults:
    """Start the database's server, or mend DATABASE_URL."""
    with connection.cursor() as cursor:
        # %if cookiecutter.database == "postgresql"
        cursor.execute("SHOW server_encoding")
        wanted = "UTF8"
        # %else
        cursor.execute("SELECT @@character_set_database")
        wanted = "utf8mb4"
        # %endif
        if cursor.fetchone()[0] != wanted:
            what = "The database cannot store every character"
            yield what, f"Make one with the encoding {wanted}, and move the data."


# %endif
# %if cookiecutter.database == "mysql"
@probe(checks.Warning, IS_SERVER)
def time_zones() -> Faults:
    """Start the database's server, or mend DATABASE_URL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONVERT_TZ('2000-01-01', 'UTC', 'Europe/Paris')")
        if cursor.fetchone()[0] is None:
            cure = "Load them: mysql_tzinfo_to_sql /usr/share/zoneinfo."
            yield "The database's time zone tables are empty", cure


# %endif
# %if cookiecutter.database != "sqlite"
@probe(checks.Warning, IS_SERVER)
def clock() -> Faults:
    """Start the database's server, or mend DATABASE_URL."""
    with connection.cursor() as cursor:
        # %if cookiecutter.database == "postgresql"
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        # %else
        cursor.execute("SELECT unix_timestamp(sysdate(6))")
        # %endif
        difference = abs(float(cursor.fetchone()[0]) - time.time())
    if difference > 5:
        what = f"The database's clock is {difference:.0f} s away from this one"
        yield what, "Synchronize both: timedatectl set-ntp true."


# %endif
@probe(checks.Warning)
def cache() -> Faults:
    """Start the cache's server, or mend its URL."""
    check_cache()
    yield from ()


# %if cookiecutter.task_queue == "celery"
@probe(checks.Error)
def broker() -> Faults:
    """Start the broker, or mend CELERY_BROKER_URL."""
    from config.celery import app

    if not app.conf.task_always_eager:
        with app.connection_for_read(connect_timeout=3) as link:
            link.connect()
    yield from ()


# %endif
# %if cookiecutter.media_storage != "none"
@probe(checks.Warning)
def store() -> Faults:
    """Let this process write to the store of uploads: its variables, its rights."""
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    content = os.urandom(16)
    name = default_storage.save("doctor", ContentFile(content))
    try:
        with default_storage.open(name) as file:
            if file.read() != content:
                yield "It does not keep what is written to it", "Look at the store."
    finally:
        default_storage.delete(name)


# %endif
@probe(checks.Warning)
def mail() -> Faults:
    """Mend EMAIL_URL, or open the way to the mail server."""
    backend = mailers["default"]
    backend.open()
    backend.close()
    yield from ()


@probe(checks.Warning, not settings.DEBUG)
def site() -> Faults:
    """Look at the log of the proxy."""
    for host in (name for name in settings.ALLOWED_HOSTS if "." in name[1:]):
        try:
            socket.getaddrinfo(host, HTTPS)
            yield from look_at(host)
        except socket.gaierror:
            yield f"{host} is not in the DNS", "Add its address, or mend the name."
        except ssl.SSLCertVerificationError as error:
            yield f"{host}: {error.verify_message}", "Look at the log of the proxy."
        except OSError:
            yield f"{host} does not answer", "Look at the proxy, firewall and DNS."


def look_at(host: str) -> Faults:
    """Ask the site for its page, as a visitor does."""
    context = ssl.create_default_context()
    link = http.client.HTTPSConnection(host, HTTPS, timeout=5, context=context)
    link.connect()
    certificate: Any = link.sock.getpeercert()
    link.request("GET", "/")
    answer = link.getresponse()
    link.close()
    left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    if left < 14 * DAY_S:
        what = f"The certificate of {host} ends in {left / DAY_S:.0f} days"
        yield what, "It should have been renewed: look at the log of the proxy."
    if answer.headers["Location"] == f"https://{host}/":
        what = f"{host} redirects to itself: the proxy's headers are not believed"
        yield what, "Add the proxy's address to FORWARDED_ALLOW_IPS."


# %if cookiecutter.metrics == "prometheus"
@probe(checks.Warning, not settings.DEBUG)
def shared_memory() -> Faults:
    """Mount /dev/shm."""
    from config import server

    # As config/metrics_server.py, which makes its folder when it is imported.
    folder, needed = "/dev/shm", server.WORKERS * 4 * 1024**2  # noqa: S108
    if shutil.disk_usage(folder).free < needed:
        what = f"{folder} has less than {needed // 1024**2} MiB"
        yield what, "Raise shm_size: the figures are counted on the disk until then."


# %endif
# %if cookiecutter.deployment in ("caddy", "nginx")
@probe(checks.Warning, not settings.DEBUG)
def backup() -> Faults:
    """Make a backup: docs/operations.md."""
    for name, hours in {"backup": 26, "restore-drill": 8 * 24}.items():
        mark = settings.BACKUP_MARKS / name
        if time.time() - mark.stat().st_mtime > hours * 3600:
            yield f"No {name} was good for {hours} hours", "just logs backup"


# %endif
@probe(checks.Warning)
def disk() -> Faults:
    """Mount the disk."""
    usage = shutil.disk_usage(settings.BASE_DIR)
    if usage.free < max(1024**3, usage.total // 20):
        what = f"{usage.free // 1024**2} MiB are free"
        yield what, "Remove what is old: docker system prune."
