"""Projects for the drills, each baked and installed once, and the table of promises with their figures."""

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
    "wsgi mysql": {"interface": "wsgi", "database": "mysql", "cache": "memcached"},
    "asgi mysql": {"interface": "asgi", "database": "mysql", "cache": "memcached"},
    "wsgi sqlite": {"interface": "wsgi", "database": "sqlite", "cache": "database"},
}
ADMIN = ("root", "correct horse battery")
WORKERS = {
    "database": [
        "python",
        "manage.py",
        "db_worker",
        "--no-startup-delay",
        "--interval=0.1",
    ],
    "celery": [
        "celery",
        "--app",
        "config.celery",
        "--quiet",
        "worker",
        "--concurrency=2",
    ],
}
VIEWS = Path(__file__).with_name("views.py")


@pytest.fixture(scope="session")
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A project as a team has it in production: its own views added, installed, its static files collected."""
    project = Project.bake(
        tmp_path_factory.mktemp("drill"),
        media_storage="filesystem",
        ci="none",
        **DRILLED[request.param],
    )
    shutil.copy(VIEWS, project.path / "apps" / "drill.py")
    urls = project.path / "config" / "urls.py"
    urls.write_text(
        urls.read_text()
        + '\nurlpatterns.append(path("drill/", include("apps.drill")))\n'
    )
    project.sync()
    project.uv("pip", "install", "--quiet", "--python", ".venv", "pillow==12.0.0")
    return project


@pytest.fixture(scope="session")
def env(project, services) -> dict[str, str]:
    """The environment of its instances, with a migrated database that knows one administrator."""
    env = production_environment(project.answers, services) | {"SENTRY_DSN": ""}
    name, password = ADMIN
    project.manage("collectstatic", "--noinput", env=env)
    project.manage("migrate", env=env)
    project.manage(
        *(
            "createsuperuser",
            "--no-input",
            f"--username={name}",
            "--email=root@shop.test",
        ),
        env=env | {"DJANGO_SUPERUSER_PASSWORD": password},
    )
    return env


@pytest.fixture
def database(project, services):
    """The server of the project's database, to be stopped and started."""
    return (
        services.postgresql
        if project.answers["database"] == "postgresql"
        else services.mariadb
    )


@pytest.fixture
def start(tmp_path: Path):
    """Start an instance of a project; whatever is still running at the end of the test is stopped."""
    instances: list[Instance] = []

    def start(project: Project, env: dict[str, str], **options) -> Instance:
        instances.append(
            Instance(
                project, env, tmp_path / f"instance-{len(instances) + 1}", **options
            )
        )
        instances[-1].start()
        return instances[-1]

    yield start
    for instance in instances:
        instance.kill()


@pytest.fixture
def start_worker(tmp_path: Path):
    """Start a worker that runs a project's tasks; whatever is still running at the end of the test is stopped."""
    workers: list[Process] = []

    def start_worker(project: Project, env: dict[str, str], *options: str) -> Process:
        program, *arguments = WORKERS[project.answers["task_queue"]]
        command = [
            f"--chdir={project.path}",
            project.path / ".venv" / "bin" / program,
            *arguments,
            *options,
        ]
        name = f"worker-{len(workers) + 1}"
        workers.append(
            Process(
                ["env", *command], tmp_path, name=name, env=clean_environment() | env
            )
        )
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.stop()


@pytest.fixture
def break_promise(project: Project, tmp_path: Path) -> Callable[..., Project]:
    """A copy of the project in which one thing is wrong: ``old`` text in a file, there exactly once, is ``new``."""

    def break_promise(path: str, old: str, new: str) -> Project:
        copy = tmp_path / "broken" / project.path.name
        if not copy.exists():
            shutil.copytree(
                project.path, copy, ignore=shutil.ignore_patterns(".venv", ".git")
            )
            (copy / ".venv").symlink_to(project.path / ".venv")
        text = (copy / path).read_text()
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        (copy / path).write_text(text.replace(old, new))
        return Project(copy, project.answers)

    return break_promise


@pytest.fixture
def report(request: pytest.FixtureRequest, record_property) -> Callable[[str], None]:
    """Put the drill's figure into the table of promises."""
    promise = request.module.__doc__.splitlines()[0].rstrip(".")
    return lambda figure: record_property(
        "promise", (promise, request.node.callspec.params["project"], figure)
    )
