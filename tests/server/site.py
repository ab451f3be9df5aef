"""A project on its server, and what its team does there."""

import http.client
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

from tests.bakery import Project, clean_environment, run
from tests.drill.conftest import VIEWS
from tests.server.host import SITE, Host
from tests.services import Process, wait_until
from tests.services.caddy import run_caddy

AUTHORITY = """
{{
    admin off
    skip_install_trust
    http_port 14001
    https_port 14000
    default_sni {address}
}}
https://{address}:14000 {{
    tls internal
    acme_server
}}
"""
GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@shop.test")
# A task that takes a moment, and leaves a user.
TASK = """

@{decorator}
def drill(name: str) -> None:
    import time

    from apps.users.models import User

    time.sleep(0.5)
    User.objects.get_or_create(username=name)
"""
DECORATORS = {"celery": "shared_task", "database": "task"}
# A migration that says only this.
MIGRATION = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("users", "{before}")]
    operations = [migrations.RunSQL("{sql}")]
"""


class Site:
    def __init__(self, host: Host, folder: Path, **answers: str) -> None:
        self.host = host
        self.folder = folder
        small = {"domain_name": SITE, "media_storage": "none", "ci": "none"}
        self.project = Project.bake(folder, **(small | answers))
        self.path = self.project.path
        shutil.copy(VIEWS, self.path / "apps" / "drill.py")
        with (self.path / "config" / "urls.py").open("a") as urls:
            urls.write('\nurlpatterns.append(path("drill/", include("apps.drill")))\n')
        with (self.path / "deploy" / "production.env").open("a") as settings:
            settings.write("WEB_CONCURRENCY=2\nREADY_TIMEOUT=240\n")
        if decorator := DECORATORS.get(self.project.answers["task_queue"]):
            self.append("apps/users/tasks.py", TASK.format(decorator=decorator))
        self.project.sync()
        self.env = clean_environment() | host.environment
        self.commit("Start")

    def just(
        self, *arguments: str, check: bool = True, stdin: str | None = None, **env: str
    ):
        """Run `just` as on a laptop that may use the server."""
        just = self.path / ".venv" / "bin" / "just"
        return self.run(just, *arguments, check=check, stdin=stdin, **env)

    def run(
        self,
        *command: str | Path,
        check: bool = True,
        stdin: str | None = None,
        **env: str,
    ):
        """Run a command in the project's folder on that laptop."""
        folders = [self.host.environment["PATH"], str(self.path / ".venv" / "bin")]
        path = {"PATH": os.pathsep.join(folders)}
        environment = self.host.environment | self.trust | path | env
        options = {"cwd": self.path, "env": environment, "check": check, "input": stdin}
        return run(*command, **options)

    @property
    def trust(self) -> dict[str, str]:
        """Return the variables that name the authority for certificates."""
        directory = f"https://{self.host.address}:14000/acme/local/directory"
        return {
            "CADDY_GLOBAL_OPTIONS": f"acme_ca {directory}\nacme_ca_root /data/root.crt",
            "CERTBOT_OPTIONS": f"--server {directory} --no-verify-ssl",
        }

    @contextmanager
    def authority(self):
        """Run an authority for certificates on the server; yield its certificate."""
        file = self.folder / "Authority"
        file.write_text(AUTHORITY.format(address=self.host.address))
        data = self.folder / "authority"
        # With the /etc/hosts of this network.
        inside = ["ip", "netns", "exec", self.host.name]
        root = data / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        command = [*inside, *run_caddy(file, data)]
        with Process(command, data, name="authority") as authority:
            authority.wait_for(root.exists, 60, "the authority has a certificate")
            if self.project.answers["deployment"] == "caddy":
                self.trust_authority(root)
            yield root

    def trust_authority(self, root: Path) -> None:
        """Put the authority's certificate where Caddy's options name it."""
        volume = f"{self.path.name}_certificates"
        labels = {"project": self.path.name, "volume": "certificates"}
        options = [
            f"--label=com.docker.compose.{name}={value}"
            for name, value in labels.items()
        ]
        self.host.docker("volume", "create", *options, volume)
        with root.open() as certificate:
            mount = f"--volume={volume}:/data"
            image = ("--entrypoint=tee", "python:3.13-slim-bookworm")
            options = ("run", "--rm", "--interactive", "--network=none", mount)
            command = (*options, *image, "/data/root.crt")
            self.host.docker(*command, stdin=certificate)

    def commit(self, message: str) -> str:
        """Commit all changes; return the name of the release."""
        run("git", "add", "--all", cwd=self.path)
        run(*GIT, "commit", "--quiet", "--allow-empty", "-m", message, cwd=self.path)
        named = run("git", "describe", "--always", cwd=self.path)
        return named.stdout.strip()

    def undo(self) -> None:
        """Take the last commit back."""
        run("git", "reset", "--hard", "--quiet", "HEAD~1", cwd=self.path)

    def add_migration(self, sql: str) -> None:
        folder = self.path / "apps" / "users" / "migrations"
        before = sorted(folder.glob("0*.py"))[-1].stem
        text = MIGRATION.format(before=before, sql=sql)
        (folder / f"{int(before[:4]) + 1:04}_drill.py").write_text(text)

    def append(self, path: str, text: str) -> None:
        with (self.path / path).open("a") as file:
            file.write(text)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen:
        """Start `just` in a group of its own."""
        environment = self.env | self.trust | self.host.environment | env
        return subprocess.Popen(
            [self.path / ".venv" / "bin" / "just", *arguments],
            cwd=self.path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "started.log").open("w"),
            start_new_session=True,
            text=True,
        )

    def started_log(self) -> str:
        return (self.folder / "started.log").read_text()

    def kill(self, process: subprocess.Popen) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def containers(self, service: str = "") -> list[str]:
        """Return the names of running containers, those of a service, sorted."""
        names = self.host.docker("ps", "--format={{.Names}}").split()
        return sorted(name for name in names if service in name)

    @property
    def colour(self) -> str:
        """Return the colour of the release that serves."""
        (colour,) = {name.split("-")[-2] for name in self.containers("-app-")}
        return colour

    def restarts(self, name: str) -> int:
        return int(self.host.docker("inspect", "--format={{.RestartCount}}", name))

    def answer_of_port_80(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host.address, timeout=10)
        connection.request("GET", path, headers={"Host": SITE})
        return connection.getresponse()

    def releases(self) -> list[str]:
        """Return the lines of the log of releases, the newest last."""
        output = self.just("releases").stdout
        return output.partition("Kept,")[0].splitlines()

    def wait_for_health_of(self, name: str) -> None:
        form = "--format={{.State.Health.Status}}"
        wait_until(
            lambda: self.host.docker("inspect", form, name).strip() == "healthy",
            120,
            f"{name} is healthy",
        )

    def wait_for_health(self, seconds: float = 240) -> None:
        def is_healthy() -> bool:
            states = self.host.docker("ps", "--format={{.Status}}").splitlines()
            return bool(states) and all("(healthy)" in state for state in states)

        wait_until(is_healthy, seconds, "all containers are healthy")
