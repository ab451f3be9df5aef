"""The production kit: tests/kit runs inside a project of each interface."""

import re
import shutil

import pytest

from tests.bakery import TEMPLATE, Project, describe

KIT = TEMPLATE / "tests" / "kit"
ROWS = [
    {
        "interface": "wsgi",
        "database": "postgresql",
        "media_storage": "s3",
        "task_queue": "celery",
    },
    {"interface": "asgi", "database": "mysql", "media_storage": "azure"},
]
PROJECTS = [
    pytest.param(row, id=describe(row), marks=pytest.mark.xdist_group(describe(row)))
    for row in ROWS
]


@pytest.mark.parametrize("project", PROJECTS, indirect=True, scope="module")
def test_kit_keeps_its_promises(project, services):
    servers = {"postgresql": services.postgresql, "mysql": services.mariadb}
    server = servers[project.answers["database"]]
    env = {"DATABASE_URL": server.create_database()}
    run_kit(project, "every", *project.answers.values(), env=env)


def run_kit(project: Project, *folders: str, env: dict[str, str] | None = None) -> None:
    """Run folders of tests/kit, named by answers, with the fixtures of a project."""
    paths = [path for folder in folders for path in sorted(KIT.glob(f"{folder}/*.py"))]
    names = [f"tests/test_kit_{path.parent.name}_{path.name}" for path in paths]
    for path, name in zip(paths, names, strict=True):
        shutil.copy(path, project.path / name)
    output = project.execute("pytest", "--quiet", "--no-cov", *names, env=env).stdout
    summary = output.splitlines()[-1]
    assert re.fullmatch(r"[1-9]\d* passed in [\d.]+s.*", summary), summary
