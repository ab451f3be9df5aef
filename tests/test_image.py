"""The image of a project: small, without secrets, read-only and without rights."""

import json
import re
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from pathlib import Path, PurePosixPath
from shutil import which

import pytest

from tests.bakery import (
    CHOICES,
    DEFAULTS,
    TEMPLATE,
    Project,
    describe,
    production_environment,
    run,
)
from tests.services import NotInstalledError, free_port, wait_until

# One build at a time, and all tests on the worker that has the image.
pytestmark = pytest.mark.xdist_group("docker")

BASE = "python:3.13-slim-bookworm"
SIZE_LIMIT_MB = 125
USER_ID = "10001"
LOCKED_DOWN = [
    "--network=host",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
]
SECRETS = {
    "AWS_SECRET_ACCESS_KEY",
    "CACHE_URL",
    "DATABASE_URL",
    "DJANGO_SECRET_KEY",
    "SENTRY_DSN",
}
COMBINATIONS = [
    {"interface": i, "database": d}
    for i in CHOICES["interface"]
    for d in CHOICES["database"]
]


@pytest.mark.parametrize("answers", COMBINATIONS, ids=describe)
def test_dockerfile_passes_hadolint(bake, answers):
    files = ("Dockerfile", "deploy/backup/Dockerfile", "deploy/caddy/Dockerfile")
    run("hadolint", *files, cwd=bake(**answers).path)


def test_becomes_healthy(container):
    assert container.inspect("{{.State.Health.Status}}") == "healthy"


def test_is_ready(container):
    status, _, body = container.get("/health/ready/")

    checks = {"database": "ok", "cache": "ok"}
    assert (status, json.loads(body)) == (200, {"status": "ok", "checks": checks})


def test_serves_pages_and_compressed_immutable_static_files(container):
    status, _, page = container.get("/")
    assert status == 200
    stylesheet = re.search(r"/static/css/[\w-]+\.[0-9a-f]{12}\.css", page.decode())

    status, headers, _ = container.get(stylesheet[0], {"Accept-Encoding": "br"})

    assert status == 200
    assert headers["Content-Encoding"] == "br"
    assert "immutable" in headers["Cache-Control"]


def test_runs_without_rights(container):
    lines = container.execute("cat", "/proc/1/status").stdout.splitlines()
    status = dict(line.split(":\t", 1) for line in lines)

    assert set((status["Uid"] + "\t" + status["Gid"]).split()) == {USER_ID}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_cannot_write_where_its_code_is(image, container):
    attempt = container.execute("touch", "/app/new", check=False)
    assert attempt.returncode
    assert "cannot touch" in attempt.stderr

    # Not even on a writable disk.
    writable = ("find", "/app", "/opt/venv", "-writable", "-not", "-type", "l")
    assert docker("run", "--rm", "--network=none", image.name, *writable).stdout == ""


def test_gives_the_memory_of_hashed_passwords_back(container):
    """12 threads hash in five rounds: 19 MiB each, which they do not keep."""
    script = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from apps.users.hashers import Argon2PasswordHasher as Hasher

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

Hasher().encode("p", "a-salt-of-16-bytes")
before = pages()
for _ in range(5):
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(Hasher().encode, ["p"] * 12, ["a-salt-of-16-bytes"] * 12))
print((pages() - before) * 4096)
"""
    grown = int(container.execute("python", "-c", script).stdout)
    assert grown < 40 * 1024 * 1024


def test_migrates_production(image, services):
    env = production_environment(DEFAULTS, services)
    command = ("python", "manage.py", "migrate", "--no-input")

    with options_for(env, image.folder) as options:
        docker("run", "--rm", *LOCKED_DOWN, *options, image.name, *command)

    database = env["DATABASE_URL"].rpartition("/")[2]
    [(applied,)] = services.postgresql.query(
        "SELECT count(*) FROM django_migrations", database
    )
    assert applied > 0


def test_stops_in_order_and_logs_nothing_but_json(image, services):
    # Only large uploads and draining need a writable /tmp; start without it.
    with start(image, services) as container:
        container.get("/")
        began = time.monotonic()
        docker("stop", container.name)
        seconds = time.monotonic() - began

        assert container.inspect("{{.State.ExitCode}}") == "0"
        assert seconds < 10
        lines = [json.loads(line) for line in container.logs().splitlines()]
        keys = {"timestamp", "level", "logger", "message"}
        assert all(keys <= set(line) for line in lines)
        assert "/" in [line.get("path") for line in lines]
        assert {line["release"] for line in lines} == {"4f2a"}


def test_is_small(image, record_property):
    size_mb = (size_of(image.name) - size_of(BASE)) / 1e6

    figure = f"image of {image.interface}: {size_mb:.1f} MB over {BASE}"
    record_property("figure", figure)
    assert size_mb <= SIZE_LIMIT_MB


def test_holds_no_secret_and_nothing_to_build_with(image, tmp_path):
    layers_of_base = "--format={{json .RootFS.Layers}}"
    inspected = docker("image", "inspect", layers_of_base, BASE)
    base_layers = len(json.loads(inspected.stdout))
    docker("save", f"--output={tmp_path / 'image.tar'}", image.name)

    with tarfile.open(tmp_path / "image.tar") as archive:
        layers = json.load(archive.extractfile("manifest.json"))[0]["Layers"]
        paths = [path for layer in layers for path in list_paths(archive, layer)]
        assert not [path for path in paths if is_unwanted(path)]

        files = []
        for layer in layers[base_layers:]:
            files += read_files(archive, layer)
        for name in archive.getnames():
            if name.endswith("json"):
                files.append((name, archive.extractfile(name).read()))
        history = docker("history", "--no-trunc", image.name).stdout
        files.append(("history", history.encode()))
        configuration = docker("image", "inspect", image.name).stdout
        files.append(("configuration", configuration.encode()))
        assert not [name for name, content in files if image.leaks_into(content)]

    expected = "app/manage.py opt/venv/bin/python app/staticfiles.json"
    assert set(expected.split()) <= set(paths)
    assert len(files) > 1000


@dataclass
class Image:
    name: str
    interface: str
    folder: Path  # for the secrets and variables of its containers
    secrets: list[str]  # that lay in the folder of the build

    def leaks_into(self, content: bytes) -> bool:
        return any(secret.encode() in content for secret in self.secrets)


@pytest.fixture(scope="module", params=CHOICES["interface"])
def image(request, tmp_path_factory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp(request.param)
    project = Project.bake(folder, interface=request.param)
    project.uv("lock", "--quiet")
    lines = (project.path / ".env").read_text().splitlines()
    variables = [line for line in lines if re.match(r"[A-Z_]+=.", line)]
    values = [line.partition("=")[2] for line in variables]
    image = Image(
        name=f"my-project-{request.param}-{secrets.token_hex(4)}",
        interface=request.param,
        folder=folder,
        secrets=[secrets.token_hex(), *values],
    )
    careless = ".env.production apps/.env config/settings/.env.local static/.secret"
    for path in careless.split():
        (project.path / path).write_text(f"TOKEN={image.secrets[0]}\n")
    for path in project.path.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)  # as a checkout with umask 077
    options = ("--quiet", "--network=host", "--build-arg=REVISION=4f2a")
    docker("build", *options, f"--tag={image.name}", project.path)
    yield image
    docker("image", "rm", "--force", image.name)


@dataclass
class Container:
    name: str
    port: int

    def inspect(self, template: str) -> str:
        return docker("inspect", f"--format={template}", self.name).stdout.strip()

    def execute(self, *command: str, check: bool = True):
        return docker("exec", self.name, *command, check=check)

    def logs(self) -> str:
        result = docker("logs", self.name)
        return result.stdout + result.stderr

    def get(self, path: str, headers: dict[str, str] | None = None):
        """Send a request as a TLS proxy does; return status, headers and body."""
        proxied = {"Host": "shop.test", "X-Forwarded-Proto": "https"}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path, headers=proxied | (headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.fixture(scope="module")
def container(image, services) -> Iterator[Container]:
    with start(image, services, "--tmpfs=/tmp") as container:
        yield container


@contextmanager
def start(image: Image, services, *options: str) -> Iterator[Container]:
    """Start a locked-down container in production; yield it when it is healthy."""
    container = Container(f"{image.name}-{secrets.token_hex(4)}", free_port())
    env = production_environment(DEFAULTS, services)
    env |= {"HOST": "127.0.0.1", "PORT": str(container.port), "WEB_CONCURRENCY": "2"}
    state = "{{.State.Status}} {{.State.Health.Status}}"

    def is_checked() -> bool:
        return container.inspect(state) != "running starting"

    with options_for(env, image.folder) as environment:
        all_options = (*LOCKED_DOWN, *options, *environment)
        try:
            name = f"--name={container.name}"
            docker("run", "--detach", name, *all_options, image.name)
            wait_until(is_checked, 60, "the result of Docker's health check")
            assert container.inspect(state) == "running healthy", container.logs()
            yield container
        finally:
            docker("rm", "--force", "--volumes", container.name)


@contextmanager
def options_for(env: dict[str, str], folder: Path) -> Iterator[list[str]]:
    """Yield options for this environment, with secrets as files.

    The settings module is set by the image.
    """
    name = secrets.token_hex(4)
    vault, env_file = folder / f"{name}-secrets", folder / f"{name}.env"
    vault.mkdir()
    lines = []
    for variable, value in env.items():
        if variable in SECRETS:
            (vault / variable).write_text(value + "\n")
            lines.append(f"{variable}_FILE=/run/secrets/{variable}\n")
        elif variable != "DJANGO_SETTINGS_MODULE":
            lines.append(f"{variable}={value}\n")
    env_file.write_text("".join(lines))
    yield [f"--env-file={env_file}", f"--volume={vault}:/run/secrets:ro"]


def is_unwanted(name: str) -> bool:
    """Tell whether a path is a secret, part of the checkout or a build tool."""
    path = PurePosixPath(name)
    parts = set(path.parts)
    is_tool = path.name in {"cc", "gcc", "g++", "uv", "uvx"}
    return bool(
        path.name.startswith(".env")
        or ".git" in parts
        or path.is_relative_to("app/tests")
        or (path.parent.name == "bin" and is_tool)
        or (".cache" in parts and {"pip", "uv"} & parts)
    )


def list_paths(archive: tarfile.TarFile, layer: str) -> list[str]:
    with tarfile.open(fileobj=archive.extractfile(layer)) as files:
        return files.getnames()


def read_files(archive: tarfile.TarFile, layer: str) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=archive.extractfile(layer)) as members:
        files = [file for file in members if file.isreg()]
        return [(file.name, members.extractfile(file).read()) for file in files]


def size_of(image: str) -> int:
    return int(docker("image", "inspect", "--format={{.Size}}", image).stdout)


def docker(*arguments: str | Path, check: bool = True):
    return run(find_docker(), *arguments, cwd=TEMPLATE, check=check)


@cache
def find_docker() -> str:
    """Return the Docker client, if an engine answers it."""
    client = which("docker")
    if client and works(client, "version"):
        if not works(client, "image", "inspect", BASE):
            run(client, "pull", "--quiet", BASE, cwd=TEMPLATE)
        return client
    tool = TEMPLATE.parent / "shared" / "tools" / "docker-engine"
    start, install = f"run {tool} up", "see https://docs.docker.com/engine/install/"
    advice = start if tool.exists() else install
    raise NotInstalledError(f"no Docker engine answers: {advice}")


def works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
