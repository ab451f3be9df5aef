"""The compared projects: bare Django from `startproject`, and bakes of the template."""

import json
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import HOST, answers
from tests.bakery import Project, clean_environment, run
from tests.services import PostgreSQL, Process, Redis, SentrySink, free_port

THREADS = 4
BENCH = Path(__file__).parent
STATIC_FILE = "/* the same for all */\n" * 400  # 9 kB

# What bare Django needs to serve the views. The rest stays as `startproject` writes it.
BARE_SETTINGS = f"""
import json
import os

DEBUG = False
ALLOWED_HOSTS = ["{HOST}"]
connection = json.loads(os.environ["BARE_DATABASE"])
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", **connection}}}}
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
if "BARE_WHITENOISE" in os.environ:
    MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
if "SENTRY_DSN" in os.environ:  # the SDK reads it
    import sentry_sdk
    from sentry_sdk.integrations.django import DjangoIntegration

    rate = float(os.environ["SENTRY_TRACES_SAMPLE_RATE"])
    sentry_sdk.init(integrations=[DjangoIntegration()], traces_sample_rate=rate)
"""
BARE_SERVERS = {
    "wsgi": ["--worker-class=gthread", f"--threads={THREADS}", "bare.wsgi"],
    "asgi": ["--worker-class=uvicorn_worker.UvicornWorker", "bare.asgi"],
}
# Bare Django has our project's connection settings. Under ASGI it connects for each
# request, as Django's documentation advises. Only our project has a pool.
CONNECTION = ["USER", "PASSWORD", "HOST", "PORT", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS"]
READ_CONNECTION = f"""
import json
from django.conf import settings
default = settings.DATABASES["default"]
print(json.dumps({{name: default[name] for name in {CONNECTION}}}))
"""


@dataclass
class Instance:
    """A project with its command and port, and with its process while it runs."""

    name: str
    folder: Path
    command: list[str | Path]
    env: dict[str, str]
    static_path: str
    workers: int = 1
    port: int = field(default_factory=free_port)
    process: Process | None = None

    def start(self) -> None:
        """Return at the first 200; output, with the access log, goes to a file."""
        # Gunicorn reads both variables.
        server = {"PORT": str(self.port), "WEB_CONCURRENCY": str(self.workers)}
        env = clean_environment() | self.env | server
        self.process = Process(self.command, self.folder, name=self.name, env=env)
        self.process.wait_for(lambda: answers(self.port), 30, f"{self.name} answers")

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None


@contextmanager
def instances(folder: Path) -> Iterator[dict[str, Instance]]:
    """Start all instances, with the servers that they use; yield them by name."""
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor())
        services = [
            stack.enter_context(kind(folder / kind.__name__))
            for kind in (PostgreSQL, Redis, SentrySink)
        ]
        made = pool.map(
            lambda interface: make(folder, interface, *services), BARE_SERVERS
        )
        served = {instance.name: instance for found in made for instance in found}
        stack.callback(lambda: list(pool.map(Instance.stop, served.values())))
        list(pool.map(Instance.start, served.values()))
        yield served


def make(
    folder: Path,
    interface: str,
    postgresql: PostgreSQL,
    redis: Redis,
    sentry: SentrySink,
) -> list[Instance]:
    """Make a project of this template, and bare Django in the same environment."""
    project = Project.bake(folder, interface=interface, project_slug=f"our_{interface}")
    project.uv("sync", "--quiet", "--no-dev")
    ours, python = project.path, project.path / ".venv" / "bin" / "python"
    our_env = {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "DJANGO_ALLOWED_HOSTS": HOST,
        "DATABASE_URL": postgresql.create_database(),
        "CACHE_URL": redis.url,
        "AWS_STORAGE_BUCKET_NAME": "uploads",
        "HOST": "127.0.0.1",
        "WEB_THREADS": str(THREADS),
    }
    add_views(python, ours, our_env, "apps", "config/urls.py")
    manifest = json.loads((ours / "staticfiles.json").read_text())

    bare = folder / f"bare_{interface}"
    bare.mkdir()
    run(python, "-m", "django", "startproject", "bare", bare, cwd=bare)
    with (bare / "bare" / "settings.py").open("a") as settings:
        settings.write(BARE_SETTINGS)
    connection = json.loads(shell(python, ours, our_env, READ_CONNECTION))
    connection["NAME"] = postgresql.create_database().rpartition("/")[2]
    bare_env = {"BARE_DATABASE": json.dumps(connection)}
    add_views(python, bare, bare_env, "bare", "bare/urls.py")

    command = [python, "-m", "config.serve"]
    css = f"/static/{manifest['paths']['bench.css']}"
    our = {"folder": ours, "command": command, "static_path": css}
    command = [python, "-m", "gunicorn", *BARE_SERVERS[interface]]
    their = {"folder": bare, "command": command, "static_path": "/static/bench.css"}
    with_sentry = {"SENTRY_DSN": sentry.dsn, "SENTRY_TRACES_SAMPLE_RATE": "0.1"}
    static = {"BARE_WHITENOISE": "1"}
    return [
        Instance(f"{interface}-ours", env=our_env, **our),
        Instance(f"{interface}-ours-sentry", env=our_env | with_sentry, **our),
        Instance(f"{interface}-bare", env=bare_env, **their),
        Instance(f"{interface}-bare-sentry", env=bare_env | with_sentry, **their),
        Instance(f"{interface}-bare-whitenoise", env=bare_env | static, **their),
    ]


def add_views(
    python: Path, folder: Path, env: dict[str, str], package: str, urls: str
) -> None:
    """Add the views, their rows, their template and the static file to a project."""
    shutil.copy(BENCH / "views.py", folder / package / "bench.py")
    (folder / "templates" / "bench").mkdir(parents=True)
    shutil.copy(BENCH / "list.html", folder / "templates" / "bench")
    with (folder / urls).open("a") as file:
        file.write("\nfrom django.urls import include\n\n")
        file.write(f'urlpatterns.append(path("bench/", include("{package}.bench")))\n')
    (folder / "static").mkdir(exist_ok=True)
    (folder / "static" / "bench.css").write_text(STATIC_FILE)
    for command in (["migrate"], ["collectstatic", "--no-input"]):
        run(python, "manage.py", *command, "--verbosity=0", cwd=folder, env=env)
    shell(python, folder, env, f"from {package}.bench import fill; fill()")


def shell(python: Path, folder: Path, env: dict[str, str], code: str) -> str:
    """Return the output of code in a project's shell."""
    command = ("manage.py", "shell", "--no-imports", f"--command={code}")
    return run(python, *command, cwd=folder, env=env).stdout
