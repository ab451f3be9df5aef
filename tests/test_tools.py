"""Bakes with old and new Cookiecutter and Git, in a repository, and the first steps."""

import json
import os
import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from tests.bakery import TEMPLATE, Project, clean_environment, cookiecutter, run
from tests.pythons import NEWEST, OLDEST, find_python

AUTHOR = {
    f"GIT_{role}_{part}": "owner@example.com"
    for role in ("AUTHOR", "COMMITTER")
    for part in ("NAME", "EMAIL")
}
# Behaves like Git 2.25: no option and no setting for the first branch.
OLD_GIT = """\
case "$*" in
    *--initial-branch*|*" -b"*) echo "error: unknown option" >&2; exit 129 ;;
    *init.defaultBranch*) set -- init --quiet ;;
esac
exec {git} -c init.defaultBranch=master "$@"
"""


@pytest.mark.parametrize("version", ["1.7.3", "2.1.0"])
def test_old_cookiecutter_is_refused_with_a_command_for_a_newer_one(tmp_path, version):
    installed = install(tmp_path, OLDEST, f"cookiecutter=={version}", "setuptools<80")

    result = cookiecutter(tmp_path / "out", *on_path(installed), check=False)

    assert result.returncode == 1
    output = result.stdout + result.stderr
    needs = "needs 2.1.1 or later, on Python 3.10 or later"
    assert f"{needs}, and `uvx cookiecutter {TEMPLATE}` runs one" in output
    assert "ready" not in output
    assert "Traceback" not in output
    assert not (tmp_path / "out" / "my_project").exists()


@pytest.mark.parametrize(
    ("requirement", "python"),
    [("cookiecutter==2.1.1", OLDEST), ("cookiecutter", NEWEST)],
)
def test_every_other_cookiecutter_makes_the_same_project(
    bake, tmp_path, requirement, python
):
    installed = install(tmp_path, python, requirement)

    cookiecutter(tmp_path / "out", *on_path(installed))

    project = read_files(Project(tmp_path / "out" / "my_project"))
    usual = read_files(bake())
    assert project.keys() == usual.keys()
    assert [path for path in usual if project[path] != usual[path]] == [".env"]


def test_answers_are_corrected_and_replayed_after_a_refusal(tmp_path):
    answers = {
        "project_slug": "shop",
        "time_zone": "Nowhere",
        "interface": "asgi",
        "description": "All our goods.",
    }
    refused = cookiecutter(tmp_path, check=False, **answers)
    assert "time_zone 'Nowhere'" in refused.stderr
    assert 'README says under "Answering again"' in refused.stderr
    assert not (tmp_path / "shop").exists()
    replay = tmp_path / ".cookiecutter_replay" / f"{TEMPLATE.name}.json"
    kept = json.loads(replay.read_text())
    kept["cookiecutter"]["time_zone"] = "Europe/Paris"
    replay.write_text(json.dumps(kept))

    command = ("cookiecutter", TEMPLATE, "--replay-file", replay)
    run(*command, cwd=tmp_path, env={"HOME": str(tmp_path)})

    shop = tmp_path / "shop"
    assert "Europe/Paris" in (shop / "config" / "settings" / "base.py").read_text()
    assert "All our goods." in (shop / "README.md").read_text()
    assert (shop / "config" / "asgi.py").exists()
    readme = (TEMPLATE / "README.md").read_text()
    section = re.search(r"### Answering again\n(.*?)\n#", readme, re.DOTALL)[1]
    option = "--replay-file ~/.cookiecutter_replay/REPO.json"
    assert f"uvx cookiecutter gh:ORG/REPO {option}" in section


@pytest.mark.parametrize(
    "script", ['exec {git} "$@"\n', OLD_GIT], ids=["this git", "git 2.25"]
)
def test_first_branch_is_main(tmp_path, script):
    result = cookiecutter(tmp_path, *on_path(write_git(tmp_path, script)))

    assert result.stderr == ""
    head = run("git", "symbolic-ref", "HEAD", cwd=tmp_path / "my_project").stdout
    assert head == "refs/heads/main\n"


def test_project_inside_a_repository_is_part_of_it(tmp_path):
    run("git", "init", "--quiet", cwd=tmp_path)
    project = Project.bake(tmp_path / "services")

    run("git", "add", ".", cwd=tmp_path)

    assert not (project.path / ".git").exists()
    folder = "services/my_project"
    staged = run("git", "ls-files", folder, cwd=tmp_path).stdout.split()
    expected = {f"{folder}/{path}" for path in project.files() - {".env"}}
    assert set(staged) == expected


def test_commands_of_the_readme_finish_the_work_of_a_failed_git(tmp_path):
    result = cookiecutter(tmp_path, *on_path(write_git(tmp_path, "exit 1\n")))
    assert "warning: init_git failed" in result.stderr
    assert "README.md says how to do it by hand" in result.stderr
    assert "Traceback" not in result.stderr
    project = tmp_path / "my_project"
    (project / ".env").unlink()
    start = read_start(project)

    for command in ("git init", "uv run just setup"):
        assert re.search(rf"^{command}$|`{command}`", start, re.MULTILINE)
        run(*command.split(), cwd=project, env={"UV_PYTHON": sys.executable})

    assert (project / ".git" / "HEAD").exists()
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


def test_printed_steps_lock_commit_and_migrate(tmp_path):
    printed = cookiecutter(tmp_path).stdout
    steps = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    project = tmp_path / "my_project"
    start = read_start(project)
    assert [step for step in steps[1:] if f"\n{step}\n" not in start] == []
    assert steps.pop() == "uv run just dev"

    env = {"UV_PYTHON": sys.executable}
    run("sh", "-ec", "\n".join(steps), cwd=tmp_path, env=env | AUTHOR)

    listed = run("git", "ls-tree", "-r", "--name-only", "HEAD", cwd=project)
    committed = listed.stdout.split()
    assert {"uv.lock", "manage.py"} <= set(committed)
    assert ".env" not in committed
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""
    run("uv", "lock", "--check", cwd=project, env=env)


def install(folder: Path, python: str, *requirements: str) -> Path:
    """Make an environment with requirements; return the folder of its programs."""
    venv = folder / "venv"
    run("uv", "venv", "--quiet", "--python", find_python(python), venv, cwd=folder)
    options = ("--quiet", "--python", venv)
    run("uv", "pip", "install", *options, *requirements, cwd=folder)
    return venv / "bin"


def read_files(project: Project) -> dict[str, bytes]:
    return {path: (project.path / path).read_bytes() for path in project.files()}


def on_path(folder: Path) -> tuple[str, str]:
    """Return the start of a command that finds programs in this folder first."""
    return "env", f"PATH={folder}{os.pathsep}{clean_environment()['PATH']}"


def write_git(folder: Path, script: str) -> Path:
    """Write a script as `git`, with {git} for the real one; return its folder."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n" + script.replace("{git}", shutil.which("git")))
    program.chmod(0o755)
    return program.parent


def read_start(project: Path) -> str:
    """Return the section "Start" of a project's README."""
    readme = (project / "README.md").read_text()
    return re.search(r"## Start\n(.*?)\n## ", readme, re.DOTALL)[1]
