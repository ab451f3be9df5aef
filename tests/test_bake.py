"""Every pair of answers: exactly the chosen files, without a trace of other answers."""

import ast
import json
import os
import re
import stat
import tomllib

import pytest

from tests.bakery import (
    CHOICES,
    DEFAULTS,
    PAIRWISE,
    QUESTIONS,
    TEMPLATE,
    Project,
    all_pairs,
    cookiecutter,
    describe,
    run,
)

HOSTILE = [
    "He said \"hi\" and 'bye'",
    'Back\\slash \\n \\" end\\',
    "Triple \"\"\" and '''",
    "Rocket \N{ROCKET} Ünïcode \N{RIGHT-TO-LEFT OVERRIDE}",
    "$HOME `id` $(id) %s {0} <b>&amp;",
]
# With --no-input, Cookiecutter renders these.
TYPED = [
    "{{ 7*7 }}",
    "{% raw %} {{ cookiecutter.project_slug }}",
    "{# comment #}",
    "# %if cookiecutter.x",
]

ALWAYS = set(
    """
    .devcontainer/devcontainer.json
    .dockerignore .editorconfig .env .env.example .gitattributes .gitignore
    .pre-commit-config.yaml .python-version Dockerfile LICENSE README.md compose.yaml
    conftest.py gunicorn.conf.py justfile manage.py pyproject.toml
    apps/__init__.py
    apps/pages/__init__.py apps/pages/context.py apps/pages/urls.py apps/pages/views.py
    apps/users/__init__.py apps/users/admin.py apps/users/hashers.py
    apps/users/migrations/__init__.py
    apps/users/tests/__init__.py apps/users/tests/factories.py
    config/__init__.py config/databases.py config/env.py config/serve.py
    config/server.py config/urls.py
    config/settings/__init__.py config/settings/base.py config/settings/development.py
    config/settings/production.py config/settings/testing.py
    core/app_template/__init__.py-tpl core/app_template/admin.py-tpl
    core/app_template/forms.py-tpl core/app_template/models.py-tpl
    core/app_template/urls.py-tpl core/app_template/views.py-tpl
    core/app_template/templates/app_name/detail.html
    core/app_template/templates/app_name/form.html
    core/app_template/templates/app_name/list.html
    core/app_template/tests/__init__.py-tpl core/app_template/tests/factories.py-tpl
    core/app_template/tests/test_pages.py-tpl
    core/__init__.py core/apps.py core/bodies.py core/checks.py core/doctor.py
    core/guessing.py core/health.py core/logs.py core/mail.py core/masking.py
    core/middleware.py
    core/management/__init__.py core/management/commands/__init__.py
    core/management/commands/doctor.py core/management/commands/startapp.py
    core/proxies.py core/sentry.py core/sessions.py
    docs/architecture.md docs/development.md docs/operations.md locale/.gitkeep
    public/favicon.ico public/robots.txt
    static/css/site.css static/favicon.svg
    templates/400.html templates/403.html templates/403_csrf.html templates/404.html
    templates/429.html templates/500.html templates/base.html templates/error.html
    templates/home.html templates/pagination.html templates/security.txt
    tests/failing_urls.py tests/fixtures.py tests/production.env tests/seed.py
    tests/test_health.py tests/test_login.py tests/test_logs.py tests/test_pages.py
    tests/test_security.py tests/test_settings.py tests/test_users.py
    """.split()
)
API = """
    apps/api/__init__.py apps/api/admin.py apps/api/errors.py
    apps/api/migrations/0001_initial.py apps/api/migrations/__init__.py
    apps/api/migrations/0002_accesstoken_password_digest.py templates/api/token.html
    core/app_template/tests/test_api.py-tpl
    apps/api/models.py static/js/api-docs.js templates/api/docs.html tests/test_api.py
    """
# For every database server.
SERVER = """
    config/routers.py core/management/commands/migrate.py tests/test_routers.py
    """
# For every task queue.
QUEUE = """
    apps/users/apps.py apps/users/mails.py apps/users/tasks.py
    core/app_template/tasks.py-tpl core/app_template/tests/test_tasks.py-tpl
    templates/mail/welcome.txt
    """
BACKUP_FILES = """
    deploy/backup/Dockerfile deploy/backup/backup deploy/backup/database.sh
    deploy/backup/restore
    """
# For one server.
SERVER_FILES = f"""{BACKUP_FILES}
    compose.production.yaml deploy/pages/maintenance.html
    deploy/pages/unavailable.html deploy/production.env deploy/server/compose
    deploy/server/environment deploy/server/manage deploy/server/release
    deploy/server/secrets deploy/server/setup docs/deploy.md
    """
CLUSTER_FILES = f"""{BACKUP_FILES}
    deploy/kubernetes/backup/backup.yaml deploy/kubernetes/backup/kustomization.yaml
    deploy/kubernetes/base/ingress.yaml deploy/kubernetes/base/kustomization.yaml
    deploy/kubernetes/base/jobs.yaml deploy/kubernetes/base/network.yaml
    deploy/kubernetes/base/pod.yaml deploy/kubernetes/base/service-account.yaml
    deploy/kubernetes/base/web.yaml deploy/kubernetes/environment
    deploy/kubernetes/kubectl
    deploy/kubernetes/production/kustomization.yaml
    deploy/kubernetes/production/namespace.yaml
    deploy/kubernetes/production/settings.env deploy/kubernetes/release
    deploy/kubernetes/staging/kustomization.yaml
    deploy/kubernetes/staging/namespace.yaml deploy/kubernetes/staging/settings.env
    docs/kubernetes.md
    """
# For both platforms.
DELIVERY = "docs/delivery.md tests/start-image"
OWNED = {
    ("interface", "wsgi"): "config/wsgi.py",
    ("interface", "asgi"): """
        config/asgi.py config/uvicorn_worker.py core/loop.py core/static.py
        core/streams.py tests/test_asgi.py
        """,
    ("database", "postgresql"): SERVER,
    ("database", "mysql"): SERVER,
    ("database", "sqlite"): "data/.gitignore tests/test_migrations.py",
    ("cache", "database"): """
        core/migrations/0001_cache_table.py core/migrations/__init__.py
        """,
    ("media_storage", "s3"): """
        config/settings/storage.py core/s3.py core/uploads.py
        tests/test_storage.py
        """,
    ("media_storage", "gcs"): """
        config/settings/storage.py core/gcs.py core/uploads.py
        tests/test_storage.py
        """,
    ("media_storage", "azure"): """
        config/settings/storage.py core/azure.py core/uploads.py
        tests/test_storage.py
        """,
    ("media_storage", "filesystem"): "data/.gitignore",
    ("task_queue", "database"): f"""{QUEUE}
        core/management/commands/db_worker.py core/task_ids.py
        tests/test_database_tasks.py
        """,
    ("task_queue", "celery"): f"""{QUEUE}
        config/celery.py core/tasks.py tests/test_celery_tasks.py
        """,
    ("api", "drf"): f"""{API}
        apps/api/authentication.py apps/api/throttling.py apps/api/urls.py
        apps/api/views.py core/app_template/viewsets.py-tpl
        """,
    ("api", "ninja"): f"""{API}
        apps/api/cursors.py apps/api/endpoints.py apps/api/security.py
        apps/api/users.py core/app_template/endpoints.py-tpl
        """,
    ("metrics", "prometheus"): """
        config/metrics_server.py core/metrics.py deploy/grafana/dashboard.json
        deploy/prometheus/alerts.yaml deploy/prometheus/alerts_test.yaml
        tests/test_metrics.py
        """,
    ("metrics", "opentelemetry"): "core/telemetry.py tests/test_telemetry.py",
    ("login", "username"): """
        apps/users/migrations/0001_initial.py apps/users/models.py
        """,
    ("login", "email"): """
        apps/users/migrations/0001_user.py apps/users/models/__init__.py
        apps/users/models/emails.py tests/test_email_login.py
        """,
    ("accounts", "none"): "templates/account_links.html",
    ("accounts", "allauth"): """
        apps/accounts/__init__.py apps/accounts/adapters.py apps/accounts/admin.py
        apps/accounts/apps.py apps/accounts/context.py apps/accounts/forms.py
        apps/accounts/guessing.py apps/accounts/receivers.py apps/accounts/site.py
        apps/accounts/stages.py
        apps/accounts/templates/account_links.html
        config/admin.py config/settings/accounts.py static/css/accounts.css
        templates/account/email/unknown_account_message.txt
        templates/account/login.html
        templates/account/messages/email_confirmation_sent.txt
        templates/account/signup_closed.html
        templates/allauth/elements/alert.html templates/allauth/elements/badge.html
        templates/allauth/elements/button.html
        templates/allauth/elements/button_group.html
        templates/allauth/elements/field.html templates/allauth/elements/fields.html
        templates/allauth/elements/form.html templates/allauth/elements/panel.html
        templates/allauth/elements/th.html
        templates/allauth/layouts/base.html templates/allauth/layouts/manage.html
        tests/test_accounts.py
        """,
    ("flags", "waffle"): """
        apps/pages/flags.py templates/preview.html tests/test_flags.py
        """,
    (
        "deployment",
        "caddy",
    ): f"{SERVER_FILES} deploy/caddy/Caddyfile deploy/caddy/Dockerfile",
    (
        "deployment",
        "nginx",
    ): f"{SERVER_FILES} deploy/nginx/Dockerfile deploy/nginx/nginx.conf",
    ("deployment", "kubernetes"): CLUSTER_FILES,
    ("deployment", "none"): "docs/platforms.md",
    ("ci", "github"): f"""{DELIVERY}
        .github/dependabot.yml .github/workflows/ci.yml .github/workflows/deliver.yml
        """,
    ("ci", "gitlab"): f"{DELIVERY} .gitlab-ci.yml renovate.json",
}
# Words that only a project with this answer may contain.
TRACES = {
    ("interface", "wsgi"): r"\bwsgi\b|\bgthread|WEB_THREADS",
    ("interface", "asgi"): r"\basgi\b|uvicorn|uvloop|httptools",
    ("database", "postgresql"): r"postgres|psycopg|pgbouncer",
    ("database", "mysql"): r"mysql|mariadb",
    ("database", "sqlite"): r"journal_mode|PRAGMA",
    ("cache", "memcached"): r"memcached",
    ("cache", "database"): r"createcachetable|DatabaseCache|MAX_ENTRIES",
    ("media_storage", "s3"): r"\bs3\b(?!:https)|\bboto|\bAWS_",
    ("media_storage", "gcs"): r"\bgcs\b|gcloud|google(?!'s load)|\bGS_",
    ("media_storage", "azure"): r"azure",
    ("media_storage", "filesystem"): r"data/media/|/srv/media",
    ("media_storage", "none"): r"storage\.Storage\b",
    ("task_queue", "database"): (
        r"django\.tasks|django_tasks_db|db_worker|prune_db|TASKS_IMMEDIATE|DBTaskResult"
    ),
    ("task_queue", "celery"): r"celery|rabbitmq|\bamqp|\bbeat\b",
    ("api", "drf"): r"rest_?framework|spectacular|django.filter",
    ("api", "ninja"): r"ninja",
    ("metrics", "prometheus"): r"prometheus|grafana|METRICS_PORT|multiproc_dir",
    ("metrics", "opentelemetry"): (
        r"opentelemetry|telemetry|\bOTEL_|\botlp\b|traceparent"
    ),
    ("login", "username"): r"by username",
    ("login", "email"): r"LowercaseEmail|attempted_email",
    ("accounts", "allauth"): (
        r"allauth|passkey|webauthn|\bmfa\b|\btotp\b|openid|second factor|SIGNUP_OPEN"
    ),
    ("flags", "waffle"): r"waffle|feature.flag|\bpreview(/|\.html)",
    ("deployment", "caddy"): r"caddy",
    ("deployment", "nginx"): r"nginx(?!'s status)|certbot",
    ("deployment", "kubernetes"): r"kubectl|kustomiz|deploy/kubernetes",
    ("deployment", "none"): r"fly\.io|\.onrender|platforms\.md",
    ("ci", "github"): r"(?<!\w)\.github\b|GITHUB_|GitHub Actions|dependabot",
    ("ci", "gitlab"): r"gitlab|renovate",
    ("license", "MIT"): r"\bMIT\b|Permission is hereby granted",
    ("license", "BSD-3-Clause"): r"BSD-3-Clause|Redistributions of source",
    ("license", "Apache-2.0"): r"Apache",
    ("license", "proprietary"): r"proprietary|All rights reserved",
}
# Words that only a project with one of these answers may contain.
SHARED_TRACES = {
    (("login", "email"), ("accounts", "allauth")): r"AXES_USERNAME_CALLABLE",
    (("cache", "redis"), ("task_queue", "celery")): r"redis(?!trib)|valkey",
    (("deployment", "caddy"), ("deployment", "nginx")): (
        r"just maintenance|compose\.production|deploy/server"
    ),
    (("deployment", "caddy"), ("deployment", "nginx"), ("deployment", "kubernetes")): (
        r"just (deploy|rollback|secrets)|deploy/backup"
    ),
    (("task_queue", "database"), ("task_queue", "celery")): (
        r"welcome|enqueue|resume_request|just worker"
    ),
}
# Words that only a project with an API may contain.
API_TRACES = (
    r"\bAPI\b(?!\.(letsencrypt|stripe))|apps\.api|apps/api|\bcors|openapi|swagger"
    r"|access.?token"
)

# Files that cannot have a comment.
NO_COMMENTS = re.compile(r"\.(json|ico)$|^LICENSE$|^\.python-version$")
# A comment, docstring or heading in the first two lines, by the end of the path.
PURPOSES = {
    ".py": r'^(?:"""|# )(.+)',
    ".py-tpl": r'^(?:"""|# )(.+)',
    ".md": r"^(# .+)",
    ".html": r"^(?:\{#|<!--) (.+) (?:#\}|-->)",
    ".svg": r"<!-- (.+) -->",
    ".css": r"^/\* (.+)",
    ".js": r"^/\* (.+)",
    "": r"(?:^|\{)# (.+)",
}

# One test worker bakes a project and runs all tests of it.
BAKES = [
    pytest.param(row, id=describe(row), marks=pytest.mark.xdist_group(describe(row)))
    for row in PAIRWISE
]
every_bake = pytest.mark.parametrize("answers", BAKES)


def test_pairs_are_all_covered():
    covered = {
        frozenset(pair)
        for row in PAIRWISE
        for pair in all_pairs()
        if pair <= set(row.items())
    }
    assert covered == all_pairs()
    assert {question for row in PAIRWISE for question in row} == set(CHOICES)


@every_bake
def test_files_are_exactly_those_asked_for(bake, answers):
    expected = set(ALWAYS)
    for (question, answer), paths in OWNED.items():
        if answers[question] == answer:
            expected.update(paths.split())
    if answers["deployment"] == "kubernetes" and answers["task_queue"] != "none":
        expected.add("deploy/kubernetes/base/worker.yaml")
    if answers["accounts"] == "allauth" and answers["api"] != "none":
        expected.add("apps/api/sessions.py")
    assert bake(**answers).files() == expected


@every_bake
def test_nothing_of_the_template_or_of_other_answers_is_left(bake, answers):
    project = bake(**answers)
    for path in sorted(project.files()):
        content = (project.path / path).read_bytes()
        if path.endswith(".ico"):
            continue
        text = content.decode("utf-8")
        assert "cookiecutter" not in text.lower(), path
        assert not re.search(r"#\s?%\s*(if|elif|else|endif)", text), path
        assert "\n\n\n\n" not in text, path
        assert "\r" not in text, path
        assert not text or text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        # A comment line that is a heading has an empty line above it.
        assert not re.search(r"^[^#\n].*\n#[^\n]*\n(\n|# --)", text, re.MULTILINE), path
        if not path.startswith("static/") and "templates/" not in path:
            # GitHub's, Prometheus's and Docker's own expressions remain, and the pages
            # that the guide shows.
            text = re.sub(r"^```(html|txt|diff)\n.*?^```", "", text, flags=re.S | re.M)
            assert "{{" not in re.sub(r"\$\{\{|\{\{ (\$|json)", "", text), path
            assert "{%" not in text, path
        for owner, words in find_foreign_words(answers).items():
            found = re.search(words, text, re.IGNORECASE)
            assert not found, f"{path} contains words of {owner}"
    for folder in project.path.rglob("*/"):
        assert ".git" in folder.parts or any(folder.iterdir()), folder


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_comes_out_intact(tmp_path, name):
    project = Project.bake(tmp_path, **answer_with(name))
    assert_text_is_intact(project, name)


@pytest.mark.parametrize("name", [*HOSTILE, *TYPED])
def test_text_typed_at_the_prompt_comes_out_intact(tmp_path, name):
    cookiecutter(tmp_path, stdin=type_answers(name))
    assert_text_is_intact(Project(tmp_path / "shop"), name)


def test_replayed_answers_come_out_intact(tmp_path):
    name = TYPED[0]
    first, second = tmp_path / "first", tmp_path / "second"
    cookiecutter(first, stdin=type_answers(name))
    replay = next(first.rglob(".cookiecutter_replay/*.json"))
    options = ("--output-dir", second, "--replay-file", replay)
    run("cookiecutter", TEMPLATE, *options, cwd=tmp_path)
    assert_text_is_intact(Project(second / "shop"), name)


def test_bad_answers_are_refused_together_and_nothing_is_written(tmp_path):
    result = cookiecutter(
        tmp_path,
        project_slug="class",
        author_email="nobody",
        time_zone="Nowhere",
        check=False,
    )
    assert result.returncode == 1
    # After the message of a failed hook, Cookiecutter prints its own traceback.
    message = result.stderr.partition("ERROR:")[0]
    assert message.startswith("These answers cannot be used:")
    for question in ("project_slug", "author_email", "time_zone"):
        assert f"- {question} " in message
    assert not (tmp_path / "class").exists()


def test_needs_no_network(tmp_path):
    # A network namespace, in which even loopback is down.
    namespace = ["unshare", "--net"]
    if os.geteuid() != 0:
        namespace.append("--map-root-user")
    cookiecutter(tmp_path, *namespace)
    assert (tmp_path / "my_project" / "manage.py").exists()


def test_git_add_stages_no_secret(tmp_path):
    project = Project.bake(tmp_path)
    lines = (project.path / ".env").read_text().splitlines()
    variables = [line for line in lines if "=" in line and line[0] != "#"]
    secrets = [line.partition("=")[2] for line in variables]
    assert secrets
    run("git", "add", "-A", cwd=project.path)
    staged = run("git", "ls-files", "--cached", cwd=project.path).stdout.split()
    assert ".env.example" in staged
    assert ".env" not in staged
    for path in staged:
        content = (project.path / path).read_bytes()
        assert not any(secret.encode() in content for secret in secrets), path


def test_secrets_are_fresh_and_private(tmp_path):
    texts = set()
    for name in ("first", "second"):
        env = Project.bake(tmp_path / name).path / ".env"
        assert stat.S_IMODE(env.stat().st_mode) == 0o600
        texts.add(env.read_text())
    assert len(texts) == 2


def test_project_names_its_version_and_protects_its_secrets_from_updates(bake):
    context = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    version = context["_template_version"]
    text = (bake().path / "pyproject.toml").read_text()
    assert text.startswith(f"# Version {version} of the template.")
    assert tomllib.loads(text)["tool"]["cruft"] == {"skip": [".env", ".git"]}


@every_bake
def test_a_file_begins_with_its_purpose(bake, answers):
    project = bake(**answers)
    for path in project.files():
        if not NO_COMMENTS.search(path):
            text = (project.path / path).read_text(encoding="utf-8")
            assert not text or has_purpose(path, text), path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/a.py", "import os\n"),
        ("core/a.py", '"""Short."""\n'),
        ("a.toml", "[tool]\n\n# The settings of the tools.\n"),
        ("templates/a.html", "{% load i18n %}\n<p>\n{# The page of a product. #}\n"),
        ("docs/a.md", "How to operate the project.\n"),
    ],
)
def test_a_file_without_a_purpose_is_found(path, text):
    assert not has_purpose(path, text)


@every_bake
def test_architecture_has_a_row_for_each_module_of_core(bake, answers):
    project = bake(**answers)
    text = (project.path / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## The modules")[2]
    rows = set(re.findall(r"^\| `(\w+/|[\w/]+\.py)` \|", table, re.MULTILINE))
    paths = [path for path in project.files() if path.startswith("core/")]
    modules = {path.removeprefix("core/") for path in paths}
    folders = r"^(app_template|migrations)/.*"
    modules = {re.sub(folders, r"\1/", module) for module in modules}
    assert rows == {module for module in modules if not module.endswith("__init__.py")}


@every_bake
def test_env_example_names_the_required_variables(bake, answers):
    text = (bake(**answers).path / ".env.example").read_text()
    assert "DJANGO_ALLOWED_HOSTS" in text
    assert ("CACHE_URL" in text) == (answers["cache"] != "database")
    store = answers["media_storage"]
    assert ("AWS_STORAGE_BUCKET_NAME" in text) == (store == "s3")
    assert ("GS_BUCKET_NAME" in text) == (store == "gcs")
    assert ("AZURE_ACCOUNT_NAME" in text) == (store == "azure")
    assert ("AZURE_CONTAINER" in text) == (store == "azure")


@every_bake
def test_a_server_is_asked_for_all_that_production_requires(bake, answers):
    path = bake(**answers).path
    text = (path / ".env.example").read_text().partition("# Required in production")[2]
    required = set(re.findall(r"^# ([A-Z_]+)=", text.partition("\n\n")[0], re.M))
    assert "DJANGO_ALLOWED_HOSTS" in required
    if answers["deployment"] in ("caddy", "nginx"):
        asked = (path / "compose.production.yaml").read_text()
        asked += (path / "deploy" / "production.env").read_text()
        # The other name is for platforms that choose it.
        required -= {"REDIS_URL"} | set(
            re.findall(r"^ *(\w+?)(?:_FILE)?[:=]", asked, re.M)
        )
        assert not required


def test_defaults_are_the_first_answers(bake):
    assert bake().files() == bake(**DEFAULTS).files()


def find_foreign_words(answers: dict[str, str]) -> dict[object, str]:
    """Return the words that a project with these answers may not contain, by owner."""
    owned = {(owner,): words for owner, words in TRACES.items()} | SHARED_TRACES
    chosen = set(answers.items())
    foreign = {key: owned[key] for key in owned if not chosen & set(key)}
    return foreign | ({"an API": API_TRACES} if answers["api"] == "none" else {})


def has_purpose(path: str, text: str) -> bool:
    """Tell whether a comment of three words or more begins in the first two lines."""
    start = "\n".join(text.splitlines()[:2])
    pattern = next(PURPOSES[suffix] for suffix in PURPOSES if path.endswith(suffix))
    found = re.search(pattern, start, re.MULTILINE)
    return bool(found) and len(found[1].split()) >= 3


def answer_with(text: str) -> dict[str, str]:
    """Return answers that have this text wherever any text is allowed."""
    names = ("project_name", "description", "author_name")
    return dict.fromkeys(names, text) | {"project_slug": "shop"}


def type_answers(text: str) -> str:
    """Return what a user types to answer with this text."""
    answers = answer_with(text)
    return "".join(f"{answers.get(question, '')}\n" for question in QUESTIONS)


def assert_text_is_intact(project, text):
    settings = project.path / "config" / "settings" / "base.py"
    assert literals(settings, "PROJECT_NAME", "PROJECT_DESCRIPTION") == [text, text]
    pyproject = (project.path / "pyproject.toml").read_text(encoding="utf-8")
    metadata = tomllib.loads(pyproject)["project"]
    assert metadata["description"] == text
    assert metadata["authors"][0]["name"] == text
    assert text in (project.path / "README.md").read_text(encoding="utf-8")
    assert f" {text}\n" in (project.path / "LICENSE").read_text(encoding="utf-8")
    run("ruff", "check", "--no-cache", ".", cwd=project.path)
    run("ruff", "format", "--no-cache", "--check", ".", cwd=project.path)


def literals(path, *names):
    """Return the values of constants in a Python file, without running it."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    assignments = (node for node in nodes if isinstance(node, ast.Assign))
    values = {
        node.targets[0].id: node.value
        for node in assignments
        if isinstance(node.targets[0], ast.Name)
    }
    return [ast.literal_eval(values[name]) for name in names]
