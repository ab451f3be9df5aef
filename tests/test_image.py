"""The project's image, built and run for real: small, without secrets, content with a read-only disk and no rights."""

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

pytestmark = pytest.mark.xdist_group(
    "docker"
)  # one build at a time, and its tests where the image is

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
    run("hadolint", "Dockerfile", cwd=bake(**answers).path)


def test_becomes_healthy(container):
    assert container.inspect("{{.State.Health.Status}}") == "healthy"


def test_is_ready(container):
    status, _, body = container.get("/health/ready/")

    assert (status, json.loads(body)) == (
        200,
        {"status": "ok", "checks": {"database": "ok", "cache": "ok"}},
    )


def test_serves_pages_and_compressed_static_files_for_good(container):
    status, _, page = container.get("/")
    assert status == 200
    stylesheet = re.search(r"/static/css/[\w-]+\.[0-9a-f]{12}\.css", page.decode())

    status, headers, _ = container.get(stylesheet[0], {"Accept-Encoding": "br"})

    assert status == 200
    assert headers["Content-Encoding"] == "br"
    assert "immutable" in headers["Cache-Control"]


def test_runs_without_rights(container):
    status = dict(
        line.split(":\t", 1)
        for line in container.execute("cat", "/proc/1/status").stdout.splitlines()
    )

    assert set((status["Uid"] + "\t" + status["Gid"]).split()) == {USER_ID}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_cannot_write_where_its_code_is(image, container):
    attempt = container.execute("touch", "/app/new", check=False)
    assert attempt.returncode
    assert "cannot touch" in attempt.stderr

    # Nor on a disk that can be written to.
    writable = ("find", "/app", "/opt/venv", "-writable", "-not", "-type", "l")
    assert docker("run", "--rm", "--network=none", image.name, *writable).stdout == ""


def test_manages_production(image, services):
    env = production_environment(DEFAULTS, services)

    with options_for(env, image.folder) as options:
        docker(
            "run",
            "--rm",
            *LOCKED_DOWN,
            *options,
            image.name,
            "python",
            "manage.py",
            "migrate",
            "--no-input",
        )

    database = env["DATABASE_URL"].rpartition("/")[2]
    [(applied,)] = services.postgresql.query(
        "SELECT count(*) FROM django_migrations", database
    )
    assert applied > 0


def test_stops_in_order_and_logs_nothing_but_json(image, services):
    # Without a writable /tmp, too: only large uploads and draining need it.
    with start(image, services) as container:
        container.get("/")
        began = time.monotonic()
        docker("stop", container.name)
        seconds = time.monotonic() - began

        assert container.inspect("{{.State.ExitCode}}") == "0"
        assert seconds < 10
        lines = [json.loads(line) for line in container.logs().splitlines()]
        assert all(
            {"timestamp", "level", "logger", "message"} <= set(line) for line in lines
        )
        assert "/" in [line.get("path") for line in lines]


def test_is_small(image, record_property):
    size_mb = (size_of(image.name) - size_of(BASE)) / 1e6

    record_property(
        "figure", f"image of {image.interface}: {size_mb:.1f} MB over {BASE}"
    )
    assert size_mb <= SIZE_LIMIT_MB


def test_holds_no_secret_and_nothing_to_build_with(image, tmp_path):
    base_layers = len(
        json.loads(
            docker("image", "inspect", "--format={{json .RootFS.Layers}}", BASE).stdout
        )
    )
    docker("save", f"--output={tmp_path / 'image.tar'}", image.name)

    with tarfile.open(tmp_path / "image.tar") as archive:
        layers = json.load(archive.extractfile("manifest.json"))[0]["Layers"]
        paths = [path for layer in layers for path in list_paths(archive, layer)]
        assert not [path for path in paths if is_unwanted(path)]

        files = [
            file
            for layer in layers[base_layers:]
            for file in read_files(archive, layer)
        ]
        files += [
            (name, archive.extractfile(name).read())
            for name in archive.getnames()
            if name.endswith("json")
        ]
        files += [
            ("history", docker("history", "--no-trunc", image.name).stdout.encode())
        ]
        files += [
            ("configuration", docker("image", "inspect", image.name).stdout.encode())
        ]
        assert not [name for name, content in files if image.leaks_into(content)]

    assert {
        "app/manage.py",
        "opt/venv/bin/python",
        "app/staticfiles/staticfiles.json",
    } <= set(paths)
    assert len(files) > 1000


@dataclass
class Image:
    name: str
    interface: str
    folder: Path  # for what its containers are given
    secrets: list[str]  # what lay in the folder that it was built from

    def leaks_into(self, content: bytes) -> bool:
        return any(secret.encode() in content for secret in self.secrets)


@pytest.fixture(scope="module", params=CHOICES["interface"])
def image(request, tmp_path_factory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp(request.param)
    project = Project.bake(folder, interface=request.param)
    project.uv("lock", "--quiet")
    lines = (project.path / ".env").read_text().splitlines()
    image = Image(
        name=f"my-project-{request.param}-{secrets.token_hex(4)}",
        interface=request.param,
        folder=folder,
        secrets=[
            secrets.token_hex(),
            *(line.partition("=")[2] for line in lines if re.match(r"[A-Z_]+=.", line)),
        ],
    )
    for careless in (
        ".env.production",
        "apps/.env",
        "config/settings/.env.local",
        "static/.secret",
    ):
        (project.path / careless).write_text(f"TOKEN={image.secrets[0]}\n")
    for path in project.path.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)  # a checkout under umask 077
    docker("build", "--quiet", "--network=host", f"--tag={image.name}", project.path)
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
        """Status, headers and body of an answer, asked for as a proxy does that ended TLS."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(
            "GET",
            path,
            headers={"Host": "shop.test", "X-Forwarded-Proto": "https"}
            | (headers or {}),
        )
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.fixture(scope="module")
def container(image, services) -> Iterator[Container]:
    with start(image, services, "--tmpfs=/tmp") as container:
        yield container


@contextmanager
def start(image: Image, services, *options: str) -> Iterator[Container]:
    """A container in production, locked down, that Docker's own check found healthy."""
    container = Container(f"{image.name}-{secrets.token_hex(4)}", free_port())
    size = {"HOST": "127.0.0.1", "PORT": str(container.port), "WEB_CONCURRENCY": "2"}
    with options_for(
        production_environment(DEFAULTS, services) | size, image.folder
    ) as environment:
        try:
            docker(
                "run",
                "--detach",
                f"--name={container.name}",
                *LOCKED_DOWN,
                *options,
                *environment,
                image.name,
            )
            state = "{{.State.Status}} {{.State.Health.Status}}"
            wait_until(
                lambda: container.inspect(state) != "running starting",
                60,
                "Docker's verdict on its health",
            )
            assert container.inspect(state) == "running healthy", container.logs()
            yield container
        finally:
            docker("rm", "--force", "--volumes", container.name)


@contextmanager
def options_for(env: dict[str, str], folder: Path) -> Iterator[list[str]]:
    """What gives a container this environment, secrets as files; the settings module is the image's own."""
    name = secrets.token_hex(4)
    vault, env_file = folder / f"{name}-secrets", folder / f"{name}.env"
    vault.mkdir()
    for variable in SECRETS & set(env):
        (vault / variable).write_text(env[variable] + "\n")
    shown = {
        variable: value
        for variable, value in env.items()
        if variable not in SECRETS | {"DJANGO_SETTINGS_MODULE"}
    }
    shown |= {
        f"{variable}_FILE": f"/run/secrets/{variable}"
        for variable in SECRETS & set(env)
    }
    env_file.write_text(
        "".join(f"{variable}={value}\n" for variable, value in shown.items())
    )
    yield [f"--env-file={env_file}", f"--volume={vault}:/run/secrets:ro"]


def is_unwanted(name: str) -> bool:
    """Tell whether a path of the image is a secret, a trace of the checkout or a tool that builds."""
    path = PurePosixPath(name)
    return bool(
        path.name.startswith(".env")
        or ".git" in path.parts
        or path.is_relative_to("app/tests")
        or (
            path.parent.name == "bin" and path.name in {"cc", "gcc", "g++", "uv", "uvx"}
        )
        or (".cache" in path.parts and {"pip", "uv"} & set(path.parts))
    )


def list_paths(archive: tarfile.TarFile, layer: str) -> list[str]:
    with tarfile.open(fileobj=archive.extractfile(layer)) as files:
        return files.getnames()


def read_files(archive: tarfile.TarFile, layer: str) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=archive.extractfile(layer)) as files:
        return [
            (file.name, files.extractfile(file).read())
            for file in files
            if file.isreg()
        ]


def size_of(image: str) -> int:
    return int(docker("image", "inspect", "--format={{.Size}}", image).stdout)


def docker(*arguments: str | Path, check: bool = True):
    return run(find_docker(), *arguments, cwd=TEMPLATE, check=check)


@cache
def find_docker() -> str:
    """The client of a Docker engine that answers."""
    client = which("docker")
    if (
        client
        and subprocess.run(
            [client, "version"], capture_output=True, check=False
        ).returncode
        == 0
    ):
        if subprocess.run(
            [client, "image", "inspect", BASE], capture_output=True, check=False
        ).returncode:
            run(client, "pull", "--quiet", BASE, cwd=TEMPLATE)
        return client
    tool = TEMPLATE.parent / "shared" / "tools" / "docker-engine"
    advice = (
        f"run {tool} up"
        if tool.exists()
        else "see https://docs.docker.com/engine/install/"
    )
    raise NotInstalledError(f"no Docker engine answers: {advice}")
