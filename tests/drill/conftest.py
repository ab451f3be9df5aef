"""Fixtures of the drills: projects, each baked once, and the table of promises."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bakery import Project, clean_environment, production_environment
from tests.drill.instances import Instance
from tests.services import Process

DRILLED = {
    "wsgi": {
        "interface": "wsgi",
        "database": "postgresql",
        "cache": "redis",
        "task_queue": "celery",
        "api": "drf",
    },
    "asgi": {
        "interface": "asgi",
        "database": "postgresql",
        "cache": "redis",
        "task_queue": "database",
        "api": "ninja",
    },
    "wsgi accounts": {"interface": "wsgi", "accounts": "allauth"},
    "asgi accounts": {"interface": "asgi", "accounts": "allauth"},
    "wsgi mysql": {"interface": "wsgi", "database": "mysql", "cache": "memcached"},
    "asgi mysql": {"interface": "asgi", "database": "mysql", "cache": "memcached"},
    "wsgi sqlite": {"interface": "wsgi", "database": "sqlite", "cache": "database"},
}
ADMIN = ("root", "correct horse battery")
WORKERS = {
    "database": "python manage.py db_worker --no-startup-delay --interval=0.1",
    "celery": "celery --app config.celery --quiet worker --concurrency=2",
}
VIEWS = Path(__file__).with_name("views.py")


@pytest.fixture(scope="session")
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Bake and install a project, and add views and Pillow as a team would."""
    project = Project.bake(
        tmp_path_factory.mktemp("drill"),
        media_storage="filesystem",
        ci="none",
        **DRILLED[request.param],
    )
    # Both proxies stand before it: the other one's file is that of its own answer.
    other = Project.bake(
        tmp_path_factory.mktemp("nginx"),
        media_storage="filesystem",
        deployment="nginx",
        ci="none",
        **DRILLED[request.param],
    )
    shutil.copytree(other.path / "deploy" / "nginx", project.path / "deploy" / "nginx")
    shutil.copy(VIEWS, project.path / "apps" / "drill.py")
    with (project.path / "config" / "urls.py").open("a") as urls:
        urls.write('\nurlpatterns.append(path("drill/", include("apps.drill")))\n')
    project.sync()
    project.uv("pip", "install", "--quiet", "--python", ".venv", "pillow==12.0.0")
    return project


@pytest.fixture(scope="session")
def env(project, services) -> dict[str, str]:
    """Return the environment of instances; the database has an administrator."""
    env = production_environment(project.answers, services) | {"SENTRY_DSN": ""}
    name, password = ADMIN
    project.manage("collectstatic", "--noinput", env=env)
    project.manage("migrate", env=env)
    root = ["--no-input", f"--username={name}", "--email=root@shop.test"]
    with_password = env | {"DJANGO_SUPERUSER_PASSWORD": password}
    project.manage("createsuperuser", *root, env=with_password)
    return env


@pytest.fixture
def database(project, services):
    """Return the server of the project's database; a drill may stop and start it."""
    is_postgresql = project.answers["database"] == "postgresql"
    return services.postgresql if is_postgresql else services.mariadb


@pytest.fixture
def start(tmp_path: Path):
    """Start instances of a project; stop them at the end of the test."""
    instances: list[Instance] = []

    def start(project: Project, env: dict[str, str], **options) -> Instance:
        folder = tmp_path / f"instance-{len(instances) + 1}"
        instances.append(Instance(project, env, folder, **options))
        instances[-1].start()
        return instances[-1]

    yield start
    for instance in instances:
        instance.kill()


@pytest.fixture
def start_worker(tmp_path: Path):
    """Start workers for the tasks of a project; stop them at the end of the test."""
    workers: list[Process] = []

    def start_worker(project: Project, env: dict[str, str], *options: str) -> Process:
        name, *arguments = WORKERS[project.answers["task_queue"]].split()
        program = project.path / ".venv" / "bin" / name
        command = ["env", f"--chdir={project.path}", program, *arguments, *options]
        worker = f"worker-{len(workers) + 1}"
        environment = clean_environment() | env
        workers.append(Process(command, tmp_path, name=worker, env=environment))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.stop()


@pytest.fixture
def break_promise(project: Project, tmp_path: Path) -> Callable[..., Project]:
    """Return a function that replaces a text in one file of a copy of the project.

    The text ``old`` must be there exactly once.
    """

    copy = project.copy(tmp_path / "broken")

    def break_promise(path: str, old: str, new: str) -> Project:
        copy.replace(path, old, new)
        return copy

    return break_promise


@pytest.fixture
def report(request: pytest.FixtureRequest, record_property) -> Callable[[str], None]:
    """Return a function that adds the drill's figure to the table of promises."""
    promise = request.module.__doc__.splitlines()[0].rstrip(".")
    project = request.node.callspec.params["project"]
    return lambda figure: record_property("promise", (promise, project, figure))
