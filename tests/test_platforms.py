"""The image on platforms: with their variables alone, behind their proxies.

The commands and numbers are those of docs/platforms.md in a project.
"""

import json
import re
import secrets
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.bakery import Project, run
from tests.services import PostgreSQL, wait_until
from tests.test_image import docker, find_docker

# One build at a time, and all tests on the worker that has the image.
pytestmark = pytest.mark.xdist_group("docker")

CHOSEN = {
    "cache": "database",
    "media_storage": "none",
    "task_queue": "database",
    "deployment": "none",
}
ROWS = [
    pytest.param({"interface": "wsgi"}, id="wsgi"),
    pytest.param({"interface": "asgi"}, id="asgi", marks=pytest.mark.long),
]
# Cloud Run shows the socket of a database below this folder.
CLOUD_SQL = "/cloudsql/project:region:instance"
CLIENT, STRANGER = "198.51.100.7", "203.0.113.50"
CLOUDFLARE, APP = "203.0.113.8", "203.0.113.9"
# Where the proxies of a platform connect from, and what they add to X-Forwarded-For:
# https://rohitpaulk.com/articles/render-rails-remote-ip for the first two,
# https://fly.io/docs/networking/request-headers/ for the third.
PROXIES = {
    "Heroku": ("10.1.2.3", [CLIENT]),
    "Render": ("10.1.2.3", [CLIENT, CLOUDFLARE]),
    "Fly.io": ("172.16.1.2", [CLIENT, APP]),
    "Cloud Run": ("169.254.169.126", [CLIENT]),
}
HTTPS = {"Host": "shop.test", "X-Forwarded-Proto": "https"}
# Runs in a network that has only a loopback interface: gives it the addresses, and
# sends the requests of its standard input, each from the address that it is sent to.
PROXY = """
import fcntl, http.client, json, socket, struct, sys
for number, address in enumerate(sys.argv[1:]):
    name, packed = f"lo:{number}".encode(), socket.inet_aton(address)
    request = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, packed)
    fcntl.ioctl(socket.socket(), 0x8916, request)  # SIOCSIFADDR
print("ready", flush=True)
for line in sys.stdin:
    address, port, path, headers = json.loads(line)
    client = http.client.HTTPConnection(address, port, timeout=10)
    try:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        told = [answer.status, dict(answer.headers), answer.read().decode()]
    except OSError as error:
        told = [0, {}, str(error)]
    print(json.dumps(told), flush=True)
"""
ENQUEUE = "from apps.users.tasks import send_welcome_mail as s; s.enqueue(0)"
SIGNAL_ALL = "import os, signal; os.kill(-1, signal.SIGTERM)"


def test_the_release_command_has_migrated(platform):
    query = "SELECT count(*) FROM django_migrations"
    assert platform.database.query(query, "db1")[0][0] > 0


def test_probes_and_pages_answer_with_the_platforms_variables_alone(platform):
    # Heroku takes a port at random, and a user that the image does not know.
    with platform.serve(34567, "--user=54321:54321") as server:
        assert server.get("/health/live/")[0] == 200
        status, _, body = server.get("/health/ready/", Host="10.1.2.3:34567")
        checks = {"database": "ok", "cache": "ok"}
        assert (status, json.loads(body)) == (200, {"status": "ok", "checks": checks})

        status, headers, page = server.get("/", **HTTPS)
        assert status == 200
        assert headers["Strict-Transport-Security"].startswith("max-age=")
        stylesheet = re.search(r"/static/css/[\w-]+\.[0-9a-f]{12}\.css", page)[0]
        assert server.get(stylesheet, **HTTPS)[0] == 200
        status, headers, _ = server.get("/admin/login/", **HTTPS)
        assert status == 200
        assert headers["Set-Cookie"].startswith("__Host-csrftoken=")

        # Nobody but the proxy says that a request came by HTTPS.
        status, headers, _ = server.get("/", STRANGER, **HTTPS)
        assert (status, headers["Location"]) == (301, "https://shop.test/")
        assert server.get("/", Host="shop.test")[0] == 301
        assert server.get("/", **HTTPS | {"Host": "other.fly.dev"})[0] == 400


def test_the_worker_command_runs_a_task(platform):
    with platform.start(*platform.commands["worker"]) as worker:
        shell = ("python", "manage.py", "shell", "--no-imports", "-c", ENQUEUE)
        docker("exec", worker.name, *shell)
        done = "sent no welcome mail to user 0"
        wait_until(lambda: done in worker.logs(), 60, "the task to run")
        assert worker.stop() == "0"


@pytest.mark.parametrize("number", ["1", "2"])
def test_the_client_is_known_behind_the_proxies(platform, number):
    table = platform.differences["`TRUSTED_PROXIES`"]
    names = [name for name in PROXIES if table[name] == number]
    assert names
    with platform.serve(8080, f"--env=TRUSTED_PROXIES={number}") as server:
        for name in names:
            peer, added = PROXIES[name]
            # The first entry is the client's own.
            entries = ", ".join(["192.0.2.1", *added])
            status, *_ = server.get("/", peer, **HTTPS, **{"X-Forwarded-For": entries})
            assert status == 200, name
        lines = [json.loads(line) for line in server.logs().splitlines()]
    addresses = [line["remote_addr"] for line in lines if line["logger"] == "access"]
    assert addresses == [CLIENT] * len(names)


def test_ends_in_order_when_all_its_processes_are_told_at_once(platform):
    """https://devcenter.heroku.com/articles/dyno-shutdown-behavior"""
    with platform.serve(8080) as server:
        docker("exec", server.name, "python", "-c", SIGNAL_ALL)
        assert server.stop() == "0"
        lines = [json.loads(line) for line in server.logs().splitlines()]
    assert not [line for line in lines if line["level"] in ("ERROR", "CRITICAL")]


def test_the_images_for_heroku_have_the_commands(platform):
    registry = f"registry.test/{secrets.token_hex(4)}"
    script = platform.read_block("sh").replace("registry.heroku.com/APP", registry)
    # This one is there: here a build has to use the host's network.
    script, count = re.subn(r"^build \S+/web .*\n", "", script, flags=re.MULTILINE)
    assert count == 1
    docker("tag", platform.image, f"{registry}/web")
    try:
        run("sh", "-ec", script, cwd=platform.folder)
        for process in ("release", "worker"):
            image = f"{registry}/{process}"
            form = "--format={{index .Config.Cmd 2}}"
            command = docker("image", "inspect", form, image).stdout
            words = command.removeprefix("exec ").split()
            assert words == platform.commands[process]
        assert "No migrations to apply." in platform.run(image=f"{registry}/release")
    finally:
        for process in ("web", "release", "worker"):
            docker("image", "rm", "--force", f"{registry}/{process}", check=False)


def test_the_file_for_fly_has_the_commands(platform):
    fly = tomllib.loads(platform.read_block("toml"))
    processes = {name: words.split() for name, words in fly["processes"].items()}
    release = fly["deploy"]["release_command"].split()
    commands = platform.commands
    assert processes == {"app": commands["web"], "worker": commands["worker"]}
    assert release == commands["release"]
    proxies = platform.differences["`TRUSTED_PROXIES`"]["Fly.io"]
    assert fly["env"]["TRUSTED_PROXIES"] == proxies
    assert fly["http_service"]["checks"][0]["path"] == "/health/ready/"


def test_a_server_ends_before_a_platform_kills_it(platform):
    kills = platform.differences["from `SIGTERM` to the kill"]
    fly = tomllib.loads(platform.read_block("toml"))
    for name, seconds in platform.differences["`GRACEFUL_TIMEOUT`"].items():
        kill = fly["kill_timeout"] if name == "Fly.io" else read_number(kills[name])
        assert read_number(seconds) < kill, name


@pytest.mark.long
def test_an_instance_without_cpu_between_requests_keeps_its_workers(platform):
    """A paused container is what Cloud Run makes of an instance without requests."""
    [setting] = re.findall(r"`(GUNICORN_CMD_ARGS=\S+)`", platform.page)
    configuration = (platform.folder / "gunicorn.conf.py").read_text()
    [timeout] = re.findall(r"^timeout = (\d+)$", configuration, re.MULTILINE)
    for option, is_lost in (("GUNICORN_CMD_ARGS=", True), (setting, False)):
        options = (f"--env={option}", "--env=WEB_CONCURRENCY=2")
        with platform.serve(8080, *options) as server:
            server.pause(longer_than_s=int(timeout))
            status, *_ = server.get("/", **HTTPS)
            # Without the option the worker is killed, sometimes with the request.
            assert status == 200 or is_lost
            assert ("WORKER TIMEOUT" in server.logs()) == is_lost


def read_number(cell: str) -> int:
    return int(re.match(r"\d+", cell)[0])


class CloudSQL(PostgreSQL):
    """PostgreSQL behind a Unix socket alone, as Cloud Run shows Cloud SQL."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        super().__init__(folder)
        self.sockets = sockets
        self.port = 5432  # of no network: it only names the socket

    def command(self) -> list[str | Path]:
        options = ["listen_addresses=", f"unix_socket_directories={self.sockets}"]
        return [
            *super().command(),
            *(word for line in options for word in ("-c", line)),
        ]

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self.password}@/{database}?host={self.sockets}"


@dataclass
class Container:
    name: str

    def inspect(self, template: str) -> str:
        return docker("inspect", f"--format={template}", self.name).stdout.strip()

    def logs(self) -> str:
        result = docker("logs", self.name)
        return result.stdout + result.stderr

    def pause(self, longer_than_s: int) -> None:
        """Freeze the processes until their clock has gone on by more than this."""
        docker("pause", self.name)
        end = time.monotonic() + longer_than_s + 5
        what = f"a pause of more than {longer_than_s} s"
        wait_until(lambda: time.monotonic() > end, longer_than_s + 10, what)
        docker("unpause", self.name)

    def stop(self) -> str:
        """Return the status with which the container ends, 137 after 30 s."""
        docker("stop", "-t", "30", self.name)
        return self.inspect("{{.State.ExitCode}}")


class Proxy:
    """A container with a network of its own, from which it sends requests."""

    def __init__(self, image: str, addresses: set[str]) -> None:
        self.name = f"platform-{secrets.token_hex(4)}"
        alone = ("--network=none", "--user=0", "--cap-add=NET_ADMIN")
        options = ("--rm", "--interactive", "--no-healthcheck", f"--name={self.name}")
        program = (image, "python", "-c", PROXY, *addresses)
        command = (find_docker(), "run", *options, *alone, *program)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()

    def send(self, *request) -> tuple[int, dict[str, str], str]:
        self.process.stdin.write(f"{json.dumps(request)}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@dataclass
class Server(Container):
    proxy: Proxy
    port: int

    def get(self, path: str, address: str = "127.0.0.1", **headers: str):
        """Send a request as the proxy at an address; return status, headers, body."""
        return self.proxy.send(address, self.port, path, headers)

    def is_ready(self) -> bool:
        return self.get("/health/ready/")[0] == 200


@dataclass
class Platform:
    """A place where an image runs with a platform's variables alone."""

    folder: Path
    page: str  # docs/platforms.md
    image: str
    proxy: Proxy
    database: CloudSQL
    variables: dict[str, str]

    @property
    def options(self) -> list[str]:
        source = f"--mount=type=bind,source={self.database.sockets},target={CLOUD_SQL}"
        variables = [f"--env={name}={value}" for name, value in self.variables.items()]
        network = f"--network=container:{self.proxy.name}"
        return [network, source, "--no-healthcheck", *variables]

    @property
    def commands(self) -> dict[str, list[str]]:
        section = self.page.partition("## Commands")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| (\w+)[^|]*\| `([^`]+)`", section, re.MULTILINE)
        return {process: command.split() for process, command in rows}

    @property
    def differences(self) -> dict[str, dict[str, str]]:
        """Return the cells of the table "What differs" by row and platform."""
        section = self.page.partition("## What differs")[2]
        lines = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
        [_, *names], _, *rows = (
            [cell.strip() for cell in line.split("|")] for line in lines
        )
        return {row: dict(zip(names, cells, strict=True)) for row, *cells in rows}

    def read_block(self, language: str) -> str:
        """Return the only block of this language."""
        [block] = re.findall(rf"```{language}\n(.*?)```", self.page, re.DOTALL)
        return block

    def run(self, *command: str, image: str | None = None) -> str:
        """Run a command, or that of the image, to its end; return what it prints."""
        options = ("--rm", *self.options, image or self.image)
        return docker("run", *options, *command).stdout

    @contextmanager
    def start(self, *command: str, options: tuple[str, ...] = ()):
        name = f"platform-{secrets.token_hex(4)}"
        all_options = (f"--name={name}", *self.options, *options, self.image)
        docker("run", "--detach", *all_options, *command)
        try:
            yield Container(name)
        finally:
            docker("rm", "--force", "--volumes", name)

    @contextmanager
    def serve(self, port: int, *options: str) -> Iterator[Server]:
        """Start the server as the platform does; yield it when it is ready."""
        with self.start(options=(f"--env=PORT={port}", *options)) as container:
            server = Server(container.name, self.proxy, port)
            try:
                wait_until(server.is_ready, 60, "the server to be ready")
            except TimeoutError as error:
                raise AssertionError(f"{error}\n{server.logs()}") from None
            yield server


@pytest.fixture(scope="module", params=ROWS)
def platform(request, tmp_path_factory) -> Iterator[Platform]:
    """Build the image, start a database and a network, and run the release command."""
    folder = tmp_path_factory.mktemp("platform")
    project = Project.bake(folder, **CHOSEN, **request.param)
    project.uv("lock", "--quiet")
    image = f"platform-{secrets.token_hex(4)}"
    docker("build", "--quiet", "--network=host", f"--tag={image}", project.path)
    addresses = {STRANGER, *(address for address, _ in PROXIES.values())}
    page = (project.path / "docs" / "platforms.md").read_text()
    try:
        with open_database(folder) as database, Proxy(image, addresses) as proxy:
            url = database.create_database()
            variables = {
                "DATABASE_URL": url.replace(str(database.sockets), CLOUD_SQL),
                "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
                "DJANGO_ALLOWED_HOSTS": "shop.test",
            }
            place = Platform(project.path, page, image, proxy, database, variables)
            place.run(*place.commands["release"])
            yield place
    finally:
        docker("image", "rm", "--force", image)


@contextmanager
def open_database(folder: Path) -> Iterator[CloudSQL]:
    """Start a database with a socket whose path is short, and open to all users."""
    with tempfile.TemporaryDirectory(prefix="sockets-") as sockets:
        Path(sockets).chmod(0o755)
        database = CloudSQL(folder / "database", Path(sockets))
        if database.user:
            shutil.chown(sockets, database.user)
        with database:
            yield database
