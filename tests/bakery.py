"""Bake projects and run commands in them as their owners do."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from allpairspy import AllPairs

from tests.services import free_port

TEMPLATE = Path(__file__).resolve().parent.parent
PROJECT_TEMPLATE = TEMPLATE / "{{cookiecutter.project_slug}}"
CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
QUESTIONS = {name: CONTEXT[name] for name in CONTEXT if not name.startswith("_")}
# The questions with a fixed set of answers, the default first.
CHOICES = {
    name: answers for name, answers in QUESTIONS.items() if isinstance(answers, list)
}
DEFAULTS = {name: answers[0] for name, answers in CHOICES.items()}


# What only one machine has, and Kubernetes refuses.
ONE_MACHINE = {"database": "sqlite", "media_storage": "filesystem"}


def is_accepted(answers: dict[str, str]) -> bool:
    """Tell whether the template takes these answers, or some of them, together."""
    is_spread = answers.get("deployment") == "kubernetes"
    return not is_spread or not ONE_MACHINE.items() & answers.items()


def accept(answers: dict[str, str]) -> list[dict[str, str]]:
    """Return rows that the template takes, with each pair of answers that it takes."""
    if is_accepted(answers):
        return [answers]
    others = {name: DEFAULTS[name] for name, _ in ONE_MACHINE.items() & answers.items()}
    return [answers | {"deployment": DEFAULTS["deployment"]}, answers | others]


# Every pair of answers to two questions is in at least one of these. The questions with
# the most answers come first: 27 rows instead of 30.
BY_SIZE = sorted(CHOICES, key=lambda name: len(CHOICES[name]), reverse=True)
PAIRWISE = [
    answers
    for row in AllPairs([CHOICES[name] for name in BY_SIZE])
    for answers in accept(dict(zip(BY_SIZE, row, strict=True)))
]
# Prefixes of variables that projects must not inherit from the caller of the tests.
# Without bytecode every command of a project would compile Django again.
PREFIXES = tuple(
    """
    AWS_ AZURE_ CACHE_URL CELERY_ COOKIECUTTER_ COV_ DATABASE_ DJANGO_ EMAIL_URL GOOGLE_
    GS_ METRICS_PORT OPENID_CONNECT_ OTEL_ PYTEST_ PYTHONDONTWRITEBYTECODE REDIS_URL
    RELEASE SENTRY_ VIRTUAL_ENV
    """.split()
)


def all_pairs() -> set[frozenset[tuple[str, str]]]:
    """Return every pair of answers to two questions that the template takes."""
    return {
        frozenset([(first, one), (second, other)])
        for first, second in combinations(CHOICES, 2)
        for one in CHOICES[first]
        for other in CHOICES[second]
        if is_accepted({first: one, second: other})
    }


def describe(answers: dict[str, str]) -> str:
    """Return a readable test id: ``interface=asgi database=mysql``."""
    return " ".join(f"{question}={answer}" for question, answer in answers.items())


def run(
    *command: str | Path,
    cwd: Path,
    env: dict[str, str] | None = None,
    check: bool = True,
    **options,
):
    """Run a command in a clean environment; show all of its output if it fails."""
    result = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment() | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    end = f"{' '.join(map(str, command))} ended with {result.returncode}"
    output = result.stdout + result.stderr
    assert result.returncode == 0 or not check, f"{end}\n{output}"
    return result


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings, with the tools on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = (name for name in os.environ if not name.startswith(PREFIXES))
    return {name: os.environ[name] for name in kept} | {"PATH": path}


def cookiecutter(
    output: Path,
    *arguments: str,
    stdin: str | None = None,
    check: bool = True,
    **answers: str,
):
    """Run Cookiecutter; ``stdin`` answers its questions, else the defaults do."""
    options = [] if stdin is not None else ["--no-input"]
    options += [f"{question}={answer}" for question, answer in answers.items()]
    command = [*arguments, "cookiecutter", TEMPLATE, "--output-dir", output, *options]
    # A separate home keeps the user's replay files and defaults out.
    output.mkdir(parents=True, exist_ok=True)
    return run(
        *command,
        cwd=output,
        env={"HOME": str(output), "COLUMNS": "200"},
        check=check,
        input=stdin,
    )


@dataclass
class Project:
    """A baked project with its own environment, made from its own pyproject.toml."""

    path: Path
    answers: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @classmethod
    def bake(cls, output: Path, **answers: str) -> "Project":
        cookiecutter(output, **answers)
        slug = answers.get("project_slug", "my_project")
        return cls(output / slug, DEFAULTS | answers)

    def copy(self, folder: Path) -> "Project":
        """Return a copy in a folder, which a test may change; both share .venv."""
        copy = folder / self.path.name
        shutil.copytree(self.path, copy, ignore=shutil.ignore_patterns(".venv"))
        (copy / ".venv").symlink_to(self.path / ".venv")
        return Project(copy, self.answers, self.python)

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace a text that is in a file exactly once."""
        text = (self.path / path).read_text()
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        (self.path / path).write_text(text.replace(old, new))

    def sync(self) -> None:
        """Make the project's environment."""
        self.uv("sync", "--quiet")

    def uv(
        self,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        check: bool = True,
    ):
        return run(
            "uv",
            *arguments,
            cwd=self.path,
            env={"UV_PYTHON": self.python} | (env or {}),
            check=check,
        )

    def execute(
        self, *command: str, env: dict[str, str] | None = None, check: bool = True
    ):
        """Run a command of the project's environment, as `uv run` does."""
        program = self.path / ".venv" / "bin" / command[0]
        path = os.pathsep.join([str(program.parent), clean_environment()["PATH"]])
        tools = {"PATH": path, "UV_PYTHON": self.python}
        return run(
            program, *command[1:], cwd=self.path, env=tools | (env or {}), check=check
        )

    def manage(
        self, *arguments: str, env: dict[str, str] | None = None, check: bool = True
    ):
        return self.execute("python", "manage.py", *arguments, env=env, check=check)

    def commit(self) -> None:
        author = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")
        run("git", "add", "--all", cwd=self.path)
        run("git", *author, "commit", "--quiet", "--message", "Start", cwd=self.path)

    def status(self) -> str:
        """Return what is not committed, a line for each path."""
        return run("git", "status", "--short", cwd=self.path).stdout

    def files(self) -> set[str]:
        """Return the paths of all files, except Git's own."""
        files = (path for path in self.path.rglob("*") if path.is_file())
        paths = (path.relative_to(self.path) for path in files)
        return {path.as_posix() for path in paths if path.parts[0] != ".git"}


def production_environment(answers: dict[str, str], services) -> dict[str, str]:
    """Return the variables that production requires, with the addresses of services."""
    env = {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "DJANGO_ALLOWED_HOSTS": "shop.test, www.shop.test",
        "DJANGO_WELCOME_MAIL": "true",
        "EMAIL_URL": "smtp://localhost:25",
        "SENTRY_DSN": services.sentry.dsn,
    }
    if answers["database"] == "postgresql":
        env["DATABASE_URL"] = services.postgresql.create_database()
    if answers["database"] == "mysql":
        env["DATABASE_URL"] = services.mariadb.create_database()
    if answers["cache"] == "redis":
        env["CACHE_URL"] = services.redis.url
    if answers["cache"] == "memcached":
        env["CACHE_URL"] = f"memcached://{services.memcached.location}"
    if answers["task_queue"] == "celery":
        # Not the database of the cache.
        env["CELERY_BROKER_URL"] = f"{services.redis.url.removesuffix('0')}1"
    if answers["metrics"] == "prometheus":
        env["METRICS_PORT"] = str(free_port())
    if answers["metrics"] == "opentelemetry":
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = services.otlp.url
        env["OTEL_TRACES_SAMPLER_ARG"] = "1"
    return env | media_environment(answers["media_storage"], services)


def media_environment(media_storage: str, services) -> dict[str, str]:
    """Return the variables with which production reaches a store for uploads."""
    if media_storage == "s3":
        return {
            "AWS_STORAGE_BUCKET_NAME": services.bucket,
            "AWS_S3_ENDPOINT_URL": services.s3.endpoint_url,
            "AWS_ACCESS_KEY_ID": services.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": services.s3.secret_key,
        }
    if media_storage == "gcs":
        return {"GS_BUCKET_NAME": services.gcs.bucket, **services.gcs.environment}
    if media_storage == "azure":
        return {
            "AZURE_ACCOUNT_NAME": services.azure.account,
            "AZURE_CONTAINER": services.bucket,
            **services.azure.environment,
        }
    return {}
