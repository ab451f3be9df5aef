"""The first week of a developer, as docs/development.md tells it."""

import pytest

from tests.bakery import Project, run
from tests.guide import read_guide

CELERY = {"task_queue": "celery", "api": "drf", "login": "email"}
NINJA = {"interface": "asgi", "task_queue": "database", "api": "ninja"}
ROWS = [
    pytest.param(CELERY, id="wsgi drf celery email, in short"),
    pytest.param(CELERY, marks=pytest.mark.long, id="wsgi drf celery email"),
    pytest.param(NINJA, marks=pytest.mark.long, id="asgi ninja database"),
    pytest.param({}, marks=pytest.mark.long, id="defaults"),
]


@pytest.mark.parametrize("answers", ROWS)
def test_the_first_week(answers, tmp_path, request, record_property):
    project = Project.bake(tmp_path, **answers)
    commit(project)
    shipped = project.files()
    guide = read_guide(project)
    is_long = request.node.get_closest_marker("long")
    for chapter in guide:
        chapter.follow(project)
        if is_long:
            project.uv("run", "just", "lint")
        commit(project)
    project.uv("run", "just", "check" if is_long else "lint")
    changed = git(project, "diff", "--name-only", f"HEAD~{len(guide)}").split()
    assert not [path for path in changed if "tests/" in path and path in shipped]
    record_property(
        "figure", f"the first week, {request.node.callspec.id}: all chapters"
    )


def commit(project: Project) -> None:
    author = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")
    git(project, "add", "--all")
    git(
        project,
        *author,
        "commit",
        "--quiet",
        "--no-verify",
        "--allow-empty",
        "--message",
        "Next",
    )


def git(project: Project, *arguments: str) -> str:
    return run("git", *arguments, cwd=project.path).stdout
