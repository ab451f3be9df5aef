"""Drops the files of answers that were not chosen, writes .env with fresh secrets and says what comes next."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

# What each answer brings. A listed path stays if any of its answers was given; an unlisted path always stays.
TABLE = """
interface=wsgi            config/wsgi.py
interface=asgi            config/asgi.py config/uvicorn_worker.py core/loop.py core/static.py tests/test_asgi.py
database=postgresql       core/management core/management/commands/migrate.py compose.yaml config/databases.py config/routers.py tests/test_routers.py
database=mysql            core/management core/management/commands/migrate.py compose.yaml config/databases.py config/routers.py tests/test_routers.py
database=sqlite           data
cache=redis               compose.yaml tests/test_cache.py
cache=memcached           compose.yaml tests/test_cache.py
cache=database            core/migrations
media_storage=s3          core/s3.py tests/test_s3.py
media_storage=gcs         core/gcs.py tests/test_gcs.py
media_storage=azure       core/azure.py tests/test_azure.py
media_storage=filesystem  data
task_queue=database       core/management core/task_ids.py core/management/commands/db_worker.py apps/users/apps.py apps/users/tasks.py apps/users/welcome.py templates/mail tests/test_db_worker.py tests/test_task_ids.py tests/test_tasks.py
task_queue=celery         apps/users/apps.py apps/users/tasks.py apps/users/welcome.py compose.yaml config/celery.py core/tasks.py templates/mail tests/test_celery.py tests/test_tasks.py
api=drf                   apps/api apps/api/authentication.py apps/api/pagination.py apps/api/parsers.py apps/api/serializers.py apps/api/urls.py apps/api/views.py static/js templates/api tests/test_api.py
api=ninja                 apps/api apps/api/endpoints.py apps/api/security.py apps/api/users.py static/js templates/api tests/test_api.py
metrics=prometheus        config/metrics_server.py core/metrics.py deploy/grafana deploy/prometheus tests/test_metrics.py
metrics=opentelemetry     core/telemetry.py tests/test_telemetry.py
login=username            apps/users/migrations/0001_initial.py apps/users/models.py
login=email               apps/users/lockout.py apps/users/migrations/0001_user.py apps/users/models tests/test_email_login.py
ci=github                 .github tests/production.env
ci=gitlab                 .gitlab-ci.yml renovate.json tests/production.env
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
OWNED_PATHS = [(path, *owner.split("=")) for owner, *paths in ROWS for path in paths]


def find_unchosen(answers):
    """The listed paths that no answer of the project (question to answer) owns, sorted."""
    chosen = {path for path, question, answer in OWNED_PATHS if answers[question] == answer}
    return sorted({path for path, _, _ in OWNED_PATHS} - chosen)


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


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
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=project, check=True)


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
