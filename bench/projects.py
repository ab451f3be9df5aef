"""The projects that are compared: bare Django as `startproject` writes it, and bakes of this template."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.measure import HOST, answers, ask
from tests.bakery import Project, clean_environment, run
from tests.services import PostgreSQL, Process, Redis, SentrySink, free_port

WORKERS, THREADS = 2, 4
WARM_UP_REQUESTS = 20
VIEWS = Path(__file__).with_name("views.py")
STATIC_FILE = "/* the same for all */\n" * 400  # 9 kB

# What bare Django needs to serve the views at all; everything else stays as `startproject` has written it.
BARE_SETTINGS = f"""
import json
import os

DEBUG = False
ALLOWED_HOSTS = ["{HOST}"]
DATABASES = {{"default": json.loads(os.environ["BARE_DATABASE"])}}
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
if "BARE_WHITENOISE" in os.environ:
    MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
"""
BARE_SERVERS = {
    "wsgi": ["--worker-class=gthread", f"--threads={THREADS}", "bare.wsgi"],
    "asgi": ["--worker-class=uvicorn_worker.UvicornWorker", "bare.asgi"],
}


@dataclass
class Instance:
    """A project as it is served: what starts it, where it answers, and the process while it runs."""

    name: str
    folder: Path
    command: list[str | Path]
    env: dict[str, str]
    static_path: str
    port: int = field(default_factory=free_port)
    process: Process | None = None

    def start(self) -> None:
        """Return at the first 200. What it writes, its access lines among it, goes to a file."""
        env = clean_environment() | self.env | {"PORT": str(self.port)}  # which Gunicorn knows too
        self.process = Process(self.command, self.folder, name=self.name, env=env)
        self.process.wait_for(lambda: answers(self.port), 30, f"{self.name} answers")

    def warm_up(self) -> None:
        for _ in range(WARM_UP_REQUESTS):
            for path in ("/bench/json/", "/bench/row/", "/health/ready/"):
                ask(self.port, path)

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None

    @property
    def pid(self) -> int:
        """The id of the master, whose children are the workers."""
        assert self.process
        return self.process.pid


@contextmanager
def instances(folder: Path) -> Iterator[dict[tuple[str, str], Instance]]:
    """All instances by interface and name, none of them started, beside the real servers that they use."""
    with ExitStack() as stack:
        postgresql, redis, sentry = (
            stack.enter_context(service(folder / service.__name__)) for service in (PostgreSQL, Redis, SentrySink)
        )
        our_env = {
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
            "DJANGO_ALLOWED_HOSTS": HOST,
            "DATABASE_URL": postgresql.create_database(),
            "CACHE_URL": redis.url,
            "AWS_STORAGE_BUCKET_NAME": "uploads",
            "HOST": "127.0.0.1",
            "WEB_CONCURRENCY": str(WORKERS),
            "WEB_THREADS": str(THREADS),
        }
        bare_database = postgresql.create_database()
        bare = folder / "bare"
        served: dict[tuple[str, str], Instance] = {}
        for interface in ("wsgi", "asgi"):
            project = bake(folder, interface)
            python = project.path / ".venv" / "bin" / "python"
            prepare(python, project.path, our_env)
            ours = {
                "folder": project.path,
                "command": [python, "-m", "config.serve"],
                "static_path": f"/static/{hashed_name(project.path)}",
            }
            bare_env = {"BARE_DATABASE": database(bare_database, 60 if interface == "wsgi" else 0)}
            if not bare.exists():
                startproject(python, bare)
                prepare(python, bare, bare_env)
            server = [python, "-m", "gunicorn", f"--workers={WORKERS}", *BARE_SERVERS[interface]]
            theirs = {"folder": bare, "command": server, "static_path": "/static/bench.css"}
            for instance in (
                Instance(f"{interface}-ours", env=our_env, **ours),
                Instance(f"{interface}-ours-sentry", env=our_env | {"SENTRY_DSN": sentry.dsn}, **ours),
                Instance(f"{interface}-bare", env=bare_env, **theirs),
                Instance(f"{interface}-bare-whitenoise", env=bare_env | {"BARE_WHITENOISE": "1"}, **theirs),
            ):
                stack.callback(instance.stop)
                served[interface, instance.name.partition("-")[2]] = instance
        yield served


def bake(folder: Path, interface: str) -> Project:
    """A project of this template, with the default answers to all other questions, and with the views."""
    project = Project.bake(folder, interface=interface, project_slug=f"our_{interface}")
    add_views(project.path, "apps", "config/urls.py")
    project.sync()
    return project


def startproject(python: Path, folder: Path) -> None:
    """Make a bare project with the views."""
    folder.mkdir()
    run(python, "-m", "django", "startproject", "bare", folder, cwd=folder)
    with (folder / "bare" / "settings.py").open("a") as settings:
        settings.write(BARE_SETTINGS)
    add_views(folder, "bare", "bare/urls.py")


def add_views(folder: Path, package: str, urls: str) -> None:
    """Add the views and the static file to a project."""
    shutil.copy(VIEWS, folder / package / "bench.py")
    with (folder / urls).open("a") as file:
        file.write(
            f'\nfrom django.urls import include\n\nurlpatterns.append(path("bench/", include("{package}.bench")))\n'
        )
    (folder / "static").mkdir(exist_ok=True)
    (folder / "static" / "bench.css").write_text(STATIC_FILE)


def prepare(python: Path, folder: Path, env: dict[str, str]) -> None:
    for command in (["migrate"], ["collectstatic", "--no-input"]):
        run(python, "manage.py", *command, "--verbosity=0", cwd=folder, env=env)


def hashed_name(folder: Path) -> str:
    manifest = json.loads((folder / "staticfiles" / "staticfiles.json").read_text())
    return manifest["paths"]["bench.css"]


def database(url: str, max_age: int) -> str:
    """A DATABASES entry, as JSON, whose connections are kept for so many seconds."""
    parts = urlsplit(url)
    return json.dumps(
        {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.removeprefix("/"),
            "USER": parts.username,
            "PASSWORD": parts.password,
            "HOST": parts.hostname,
            "PORT": parts.port,
            "CONN_MAX_AGE": max_age,
        }
    )
