"""Drops the files of answers that were not chosen, writes .env with fresh secrets and says what comes next."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

# A listed path stays if any of its rows was answered so; an unlisted path always stays.
OWNED_PATHS = (
    ("apps/health/cache_check.py", "cache", "redis"),
    ("apps/observability/outages.py", "cache", "redis"),
    ("apps/operations/migrations", "cache", "database"),
    ("compose.yaml", "cache", "redis"),
    ("compose.yaml", "database", "mysql"),
    ("compose.yaml", "database", "postgresql"),
    ("apps/pages/static.py", "interface", "asgi"),
    ("config/asgi.py", "interface", "asgi"),
    ("config/routers.py", "database", "mysql"),
    ("config/routers.py", "database", "postgresql"),
    ("config/uvicorn_worker.py", "interface", "asgi"),
    ("config/wsgi.py", "interface", "wsgi"),
    ("data", "database", "sqlite"),
    ("data", "media_storage", "filesystem"),
    ("tests/test_asgi.py", "interface", "asgi"),
    ("tests/test_redis.py", "cache", "redis"),
    ("tests/test_routers.py", "database", "mysql"),
    ("tests/test_routers.py", "database", "postgresql"),
    ("tests/test_wsgi.py", "interface", "wsgi"),
)


def find_unchosen(answers):
    """The listed paths that no answer of the project (question to answer) owns, sorted."""
    chosen = {path for path, question, answer in OWNED_PATHS if answers[question] == answer}
    return sorted({path for path, _, _ in OWNED_PATHS} - chosen)


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def fill_secrets(example):
    """The text of .env.example with a fresh value behind every secret that it leaves empty."""
    return re.sub(
        r"^([A-Z_]+_(?:KEY|PASSWORD)=)$", lambda line: line[1] + secrets.token_urlsafe(48), example, flags=re.M
    )


def write_env(project):
    text = fill_secrets((project / ".env.example").read_text(encoding="utf-8"))
    descriptor = os.open(project / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def init_git(project):
    if shutil.which("git"):
        subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)


def main():
    answers = json.loads(r"""{{ cookiecutter | tojson }}""")
    project = Path.cwd()
    for path in find_unchosen(answers):
        remove(project / path)
    for step in (write_env, init_git):
        try:
            step(project)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"warning: {step.__name__} failed ({error}); README.md says how to do it by hand", file=sys.stderr)
    print(
        f"{project.name} is ready. Next:\n\n  cd {project.name}\n  uv run manage.py migrate\n  uv run manage.py runserver\n"
    )


if __name__ == "__main__":
    main()
