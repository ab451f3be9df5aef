"""Delete the files of other answers, write .env and print the next steps."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

# A path stays if one of its answers was given. One that is not listed always stays.
TABLE = """
interface=wsgi            config/wsgi.py
interface=asgi            config/asgi.py config/uvicorn_worker.py core/loop.py core/static.py core/streams.py tests/test_asgi.py
database=postgresql,mysql core/management/commands/migrate.py config/routers.py tests/test_routers.py
database=sqlite           data tests/test_migrations.py
cache=database            core/migrations
media_storage=s3          config/settings/storage.py core/s3.py core/uploads.py tests/test_storage.py
media_storage=gcs         config/settings/storage.py core/gcs.py core/uploads.py tests/test_storage.py
media_storage=azure       config/settings/storage.py core/azure.py core/uploads.py tests/test_storage.py
media_storage=filesystem  data
task_queue=database       core/task_ids.py core/management/commands/db_worker.py deploy/kubernetes/base/worker.yaml apps/users/apps.py apps/users/mails.py apps/users/tasks.py core/app_template/tasks.py-tpl core/app_template/tests/test_tasks.py-tpl templates/mail tests/test_database_tasks.py
task_queue=celery         deploy/kubernetes/base/worker.yaml apps/users/apps.py apps/users/mails.py apps/users/tasks.py config/celery.py core/app_template/tasks.py-tpl core/app_template/tests/test_tasks.py-tpl core/tasks.py templates/mail tests/test_celery_tasks.py
api=drf                   apps/api apps/api/authentication.py apps/api/throttling.py apps/api/urls.py apps/api/views.py core/app_template/tests/test_api.py-tpl core/app_template/viewsets.py-tpl static/js templates/api tests/test_api.py
api=ninja                 apps/api apps/api/cursors.py apps/api/endpoints.py apps/api/security.py apps/api/users.py core/app_template/endpoints.py-tpl core/app_template/tests/test_api.py-tpl static/js templates/api tests/test_api.py
metrics=prometheus        config/metrics_server.py core/metrics.py deploy deploy/grafana deploy/prometheus tests/test_metrics.py
metrics=opentelemetry     core/telemetry.py tests/test_telemetry.py
login=username            apps/users/migrations/0001_initial.py apps/users/models.py
login=email               apps/users/migrations/0001_user.py apps/users/models tests/test_email_login.py
accounts=none             templates/account_links.html
accounts=allauth          apps/accounts apps/api/sessions.py config/admin.py config/settings/accounts.py static/css/accounts.css templates/account templates/allauth tests/test_accounts.py
flags=waffle              apps/pages/flags.py templates/preview.html tests/test_flags.py
deployment=caddy          compose.production.yaml deploy deploy/backup deploy/caddy deploy/pages deploy/production.env deploy/server docs/deploy.md
deployment=nginx          compose.production.yaml deploy deploy/backup deploy/nginx deploy/pages deploy/production.env deploy/server docs/deploy.md
deployment=kubernetes     deploy deploy/backup deploy/kubernetes docs/kubernetes.md
deployment=none           docs/platforms.md
ci=github                 .github docs/delivery.md tests/start-image
ci=gitlab                 .gitlab-ci.yml docs/delivery.md renovate.json tests/start-image
"""  # noqa: E501 - a table
HINT = "README.md says how to do it by hand"
ROWS = [line.split() for line in TABLE.strip().splitlines()]
OWNED_PATHS = [(path, *owner.split("=")) for owner, *paths in ROWS for path in paths]


def find_unchosen(answers):
    """Return the listed paths that none of the answers (by question) keeps, sorted."""
    chosen = {path for path, name, of in OWNED_PATHS if answers[name] in of.split(",")}
    return sorted({path for path, _, _ in OWNED_PATHS} - chosen)


def fill_secrets(example):
    """Return the text of .env.example with a new value for every empty secret."""
    empty = re.compile(r"^([A-Z_]+_(?:KEY|PASSWORD)=)$", re.MULTILINE)
    return empty.sub(lambda line: line[1] + secrets.token_urlsafe(48), example)


def write_env(project):
    text = fill_secrets((project / ".env.example").read_text(encoding="utf-8"))
    descriptor = os.open(project / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def init_git(project):
    """Make a repository on the branch main, unless the project is inside one."""
    inside = any((folder / ".git").exists() for folder in (project, *project.parents))
    if shutil.which("git") and not inside:
        # Git before 2.28 has no --initial-branch.
        for command in ("init --quiet", "symbolic-ref HEAD refs/heads/main"):
            subprocess.run(["git", *command.split()], cwd=project, check=True)


def main():
    answers = json.loads(r"""{{ cookiecutter | tojson }}""")
    project = Path.cwd()
    for path in map(project.joinpath, find_unchosen(answers)):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for step in (write_env, init_git):
        try:
            step(project)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"warning: {step.__name__} failed ({error}); {HINT}", file=sys.stderr)
    # cruft renders two versions in folders with such names: print nothing there.
    if "_commit" not in answers or not re.fullmatch(r"tmp\w{8}", project.parent.name):
        print(f"{project.name} is ready:\n\n  cd {project.name}\n  uv run just setup")
        print("  git add .\n  git commit --message Start\n  uv run just dev\n")


if __name__ == "__main__":
    main()
