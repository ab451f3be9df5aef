"""Backup: what was destroyed comes back, and one that is not sound is noticed."""

import re
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from tests.server.site import Site
from tests.server.traffic import fetch, traffic
from tests.services import Process, wait_until

pytestmark = pytest.mark.sites("caddy wsgi", "caddy mysql", "caddy sqlite")
PASSWORD = "a long password for backups"
# A user who can log in, and a file where there are uploads.
FILL = """
from apps.users.models import User
User.objects.create_user("ada", password="a pass phrase")
"""
SAVE = """
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
default_storage.save("kept.txt", ContentFile(b"kept"))
"""
LOOK = """
from apps.users.models import User
ada = User.objects.get(username="ada")
print("users", User.objects.count())
print("same password", ada.check_password("a pass phrase"))
"""
READ = """
from django.core.files.storage import default_storage
print("file", default_storage.open("kept.txt").read())
"""
# Two rows at a time, and never one.
WRITE = """
from django.db import transaction
from apps.users.models import User
for number in range(400):
    with transaction.atomic():
        User.objects.bulk_create(
            User(username=f"twin-{number}-{half}") for half in "ab"
        )
"""
TWINS = """
from apps.users.models import User
print("twins", User.objects.filter(username__startswith="twin").count())
"""
FORGET_ALL = 'for id in $(list complete); do restic forget --quiet "$id"; done\n'
# The dump of another version: the first mention of the number in the file.
OLD_VERSION = {
    "caddy wsgi": r"s/\b1[0-9]\.[0-9]/12.1/",
    "caddy mysql": r"s/^-- Server version.*/-- Server version\t5.7.1/",
}
STORE = """
mkdir -p new && dump_database new/dump
{change}
restic backup --quiet --host site --tag complete {options} "$work/new" {media}
restic prune --quiet --max-unused 0
rm -r new
"""


class Backups:
    """The backups of a site, off the machine: on its own SSH server, by SFTP."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.host.folder / f"repository-{site.folder.name}"
        address = f"sftp:root@{site.host.address}:{self.folder}"
        settings = site.path / "deploy" / "production.env"
        text = settings.read_text()
        text = re.sub(
            r"(?m)^COMPOSE_PROFILES=(.*)$", r"COMPOSE_PROFILES=\1,backup", text
        )
        settings.write_text(f"{text}RESTIC_REPOSITORY={address}\n")
        self.give_keys()
        site.commit("Backups")
        self.output = site.just("deploy").stderr

    def give_keys(self) -> None:
        self.site.just("secrets", "RESTIC_PASSWORD", stdin=PASSWORD)
        key = (self.site.host.folder / "client").read_text()
        self.site.just("secrets", "RESTIC_SSH_KEY", stdin=key)

    def run(self, script: str, *options: str, check: bool = True):
        """Run commands in a container of the service, beside its functions."""
        start = ". backup\n"
        compose = "deploy/server/compose run --rm -T --no-deps --entrypoint bash"
        command = (*compose.split(), *options, "backup", "-c", start + script)
        return self.site.run(*command, check=check)

    def store(self, change: str = "", options: str = "") -> None:
        """Put a snapshot there as the only one that counts."""
        media = "/srv/media" if has_uploads(self.site) else ""
        self.run(FORGET_ALL + STORE.format(change=change, options=options, media=media))

    def count(self) -> int:
        return len(self.run("list complete").stdout.split())

    def fails(self, *command: str) -> str:
        """Return what a command says that must not succeed."""
        result = self.site.just(*command, check=False)
        assert result.returncode != 0, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stderr


@pytest.fixture(scope="session")
def backups(site) -> Backups:
    return Backups(site)


def has_uploads(site) -> bool:
    return site.project.answers["media_storage"] != "none"


def look(site) -> str:
    script = LOOK + READ if has_uploads(site) else LOOK
    return site.just("shell", stdin=script).stdout


def test_a_release_takes_a_backup_first(site, backups):
    assert "back up" in backups.output
    assert backups.count() == 1
    guide = (site.path / "docs" / "operations.md").read_text()
    chapter = guide[guide.index("## Backups") : guide.index("## Health")]
    commands = {*re.findall(r"(?m)^just ([\w-]+)", chapter)}
    assert commands == {"secrets", "deploy", "backup", "restore", "restore-drill"}


def test_what_was_destroyed_comes_back(site, backups, report):
    script = FILL + SAVE if has_uploads(site) else FILL
    site.just("shell", "--write", stdin=script)
    before = look(site)
    assert "same password True" in before
    site.just("backup")
    destroy(site, "database", "data", "media")
    site.just("deploy")
    assert "same password" not in site.just("shell", stdin=LOOK, check=False).stdout
    assert backups.count() == 2, "an empty database was stored"
    told = site.just("restore", "--yes", site.path.name).stderr
    assert re.search(r"The database before is before_\d+_\d+\.", told)
    assert look(site) == before
    assert fetch(site.host).status == 200
    # The old uploads are kept beside the new ones, and in no backup.
    site.just("backup")
    assert "/.before" not in backups.run("restic ls latest").stdout
    report("the same rows, files and password")


def destroy(site, *volumes: str) -> None:
    """Remove all containers, and the volumes that have data."""
    site.host.docker("rm", "--force", *site.containers())
    there = site.host.docker("volume", "ls", "--quiet").split()
    names = [f"{site.path.name}_{volume}" for volume in volumes]
    site.host.docker("volume", "rm", *(name for name in names if name in there))


@pytest.mark.long
def test_restore_asks_twice(site, backups):
    before = look(site)
    for answers in ("no\n", "yes\nanother\n", ""):
        result = site.just("restore", stdin=answers, check=False)
        assert result.returncode == 2
        assert "Nothing was changed." in result.stderr
    assert "write --yes" in backups.fails("restore", "--yes", "another")
    assert look(site) == before


@pytest.mark.long
def test_a_restore_that_is_killed_half_way_leaves_the_old_database(site, backups):
    before = look(site)
    rehearsal = f"{site.path.name}-rehearsal-1"
    site.host.docker("pause", rehearsal)
    process = site.start("restore", "--yes", site.path.name)

    def running() -> list[str]:
        return site.containers("-backup-run-")

    def waits() -> bool:
        script = ("docker", "exec", *running()[:1], "ls", "/srv/scratch")
        return bool(running()) and "asked" in site.run(*script, check=False).stdout

    wait_until(waits, 120, "the restored database waits to be tried")
    site.host.docker("kill", *running())
    assert process.wait(60) != 0
    site.host.docker("unpause", rehearsal)
    wait_until(lambda: fetch(site.host).status == 200, 60, "the page")
    assert look(site) == before


@pytest.mark.long
def test_a_backup_during_writes_is_consistent(site, backups):
    writer = threading.Thread(
        target=site.just, args=("shell", "--write"), kwargs={"stdin": WRITE}
    )
    writer.start()

    def twins() -> int:
        output = site.just("shell", stdin=TWINS).stdout
        return int(re.search(r"twins (\d+)", output)[1])

    wait_until(lambda: twins() > 0, 60, "the writer writes")
    site.just("backup")
    writer.join()
    total = twins()
    site.just("restore", "--yes", site.path.name)
    assert 0 < twins() <= total
    assert twins() % 2 == 0


def test_the_drill_passes_on_a_sound_backup_and_leaves_nothing(site, backups, report):
    site.just("backup")
    with traffic(site.host) as load:
        told = site.just("restore-drill").stderr
    assert "The newest backup is sound." in told
    assert re.search(r"users_user \d+ \d+", told)
    left = backups.run(
        'ls /srv/scratch; ls -d restored || :; count_rows "$scratch" || :'
    )
    assert "users_user" not in left.stdout
    assert not left.stdout.strip()
    assert not load.failures, f"{load.told()}, such as {load.failures[0]}"
    report(f"drill beside the site: {load.told()}")


@contextmanager
def damaged(folder):
    """Change one byte in the middle of the largest pack of a repository."""
    pack = max(folder.glob("data/*/*"), key=lambda file: file.stat().st_size)
    sound = pack.read_bytes()
    middle = len(sound) // 2
    pack.chmod(0o600)
    pack.write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
    yield
    pack.write_bytes(sound)


@pytest.mark.long
def test_the_drill_finds_backups_that_are_not_sound(site, backups, request):
    backups.store(options="--time '2026-01-02 03:04:05'")
    assert "older than 26 hours" in backups.fails("restore-drill")
    proxy = request.node.callspec.params["site"]
    if proxy in OLD_VERSION:
        backups.store(f"sed -i '{OLD_VERSION[proxy]}' new/dump")
        assert "and the server is" in backups.fails("restore-drill")
    backups.store("truncate --size=-2000 new/dump")
    assert "failed at: read" in backups.fails("restore-drill")
    backups.store(": >new/dump")
    assert "failed at:" in backups.fails("restore-drill")
    backups.store()
    with damaged(backups.folder):
        assert "failed at:" in backups.fails("restore-drill")
    site.just("restore-drill")


@pytest.mark.long
def test_what_fails_half_way_counts_as_no_backup(site, backups):
    count = backups.count()
    site.just("secrets", "RESTIC_PASSWORD", stdin="wrong")
    assert "wrong password" in backups.fails("backup")
    site.just("secrets", "RESTIC_PASSWORD", stdin=PASSWORD)

    away = backups.folder.with_name("away")
    backups.folder.rename(away)
    assert "No backup: it failed at: open the repository." in backups.fails("backup")
    assert not backups.folder.exists()
    away.rename(backups.folder)

    whole = 'eval "whole_$(declare -f dump_database)"\n'
    for step, broken in {
        "dump the database": 'head -c 5000 /dev/urandom >"$1"; return 1',
        "dump the database, on a full disk": (
            'ln -s /dev/full "$1"; whole_dump_database "$1"'
        ),
        "read the dump": 'whole_dump_database "$1"; truncate --size=-99 "$1"',
    }.items():
        script = f"{whole}dump_database() {{ {broken}; }}\nback_up"
        result = backups.run(script, check=False)
        assert result.returncode != 0, step
        failed = f"No backup: it failed at: {step.partition(',')[0]}."
        assert failed in result.stderr, step

    if site.project.answers["database"] != "sqlite":
        database = f"{site.path.name}-database-1"
        site.host.docker("stop", database)
        told = backups.fails("backup")
        site.host.docker("start", database)
        site.wait_for_health_of(database)
        assert "No backup: it failed at: dump the database." in told
    assert backups.count() == count
    site.just("backup")


@pytest.mark.long
def test_a_monitor_is_told(site, backups, tmp_path):
    (tmp_path / "ping").touch()
    address, port = site.host.address, "8099"
    serve = (sys.executable, "-u", "-m", "http.server", port, "--bind", address)
    command = site.host.inside(*serve, "--directory", tmp_path)
    with Process(command, tmp_path, name="monitor") as monitor:
        monitor.wait_for(lambda: "Serving" in monitor.log, 10, "the monitor listens")
        option = f"--env=BACKUP_PING_URL=http://{address}:{port}/ping"
        backups.run("back_up", option)
        assert "GET /ping HTTP" in monitor.log
        backups.run("dump_database() { return 1; }; back_up", option, check=False)
        assert "GET /ping/fail HTTP" in monitor.log


@pytest.mark.long
@pytest.mark.sites("caddy wsgi")
def test_a_bucket_holds_backups_too(site, backups, tmp_path):
    address, port = site.host.address, "8098"
    serve = (sys.executable, "-m", "moto.server", "--host", address, "--port", port)
    for name in ("RESTIC_AWS_ACCESS_KEY_ID", "RESTIC_AWS_SECRET_ACCESS_KEY"):
        site.just("secrets", name, stdin="key")
    option = f"--env=RESTIC_REPOSITORY=s3:http://{address}:{port}/backups"
    with Process(site.host.inside(*serve), tmp_path, name="store") as store:
        store.wait_for(lambda: "Running on" in store.log, 30, "the store listens")
        backups.run("back_up", option)
        assert len(backups.run("list complete", option).stdout.split()) == 1
        assert "PUT /backups/data/" in store.log
    for name in ("RESTIC_AWS_ACCESS_KEY_ID", "RESTIC_AWS_SECRET_ACCESS_KEY"):
        site.just("secrets", name, stdin="")


@pytest.mark.long
def test_a_server_that_is_gone_comes_back(site, backups, report):
    before = look(site)
    site.just("backup")
    began = time.monotonic()
    site.host.clear()
    site.trust_authority(site.root)
    site.just("secrets")
    backups.give_keys()
    site.just("deploy")
    site.just("restore", "--yes", site.path.name)
    assert look(site) == before
    wait_until(lambda: fetch(site.host).status == 200, 60, "the page")
    report(f"from an empty server to the same site in {time.monotonic() - began:.0f} s")
