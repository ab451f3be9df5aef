"""The production kit from inside: the files of tests/kit run within a project of each interface."""

import re
import shutil

import pytest

from tests.bakery import TEMPLATE, Project, describe

KIT = TEMPLATE / "tests" / "kit"
ROWS = [
    {"interface": "wsgi", "database": "postgresql", "media_storage": "s3"},
    {"interface": "asgi", "database": "mysql", "media_storage": "azure"},
]
PROJECTS = [
    pytest.param(row, id=describe(row), marks=pytest.mark.xdist_group(describe(row)))
    for row in ROWS
]


@pytest.mark.parametrize("project", PROJECTS, indirect=True, scope="module")
def test_kit_keeps_its_promises(project, services):
    server = {"postgresql": services.postgresql, "mysql": services.mariadb}[
        project.answers["database"]
    ]
    run_kit(
        project,
        "every",
        *project.answers.values(),
        env={"DATABASE_URL": server.create_database()},
    )


def run_kit(project: Project, *folders: str, env: dict[str, str] | None = None) -> None:
    """Run a project's tests with those of tests/kit: they find its fixtures. A folder bears the name of an answer."""
    paths = [path for folder in folders for path in sorted(KIT.glob(f"{folder}/*.py"))]
    names = [f"tests/test_kit_{path.parent.name}_{path.name}" for path in paths]
    for path, name in zip(paths, names, strict=True):
        shutil.copy(path, project.path / name)
    summary = project.execute(
        "pytest", "--quiet", "--no-cov", *names, env=env
    ).stdout.splitlines()[-1]
    assert re.fullmatch(r"[1-9]\d* passed in [\d.]+s.*", summary), summary
