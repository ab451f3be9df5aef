"""`just setup` and `just seed`: from a clone to a project that runs, with data."""

import re
import stat
from pathlib import Path

import pytest

from tests.bakery import Project, production_environment, run
from tests.services import free_port
from tests.serving import develop

pytestmark = pytest.mark.xdist_group("setup")

ORIGINS = [
    pytest.param({}, id="wsgi"),
    pytest.param(
        {"interface": "asgi", "database": "sqlite", "login": "email"},
        id="asgi",
        marks=pytest.mark.long,
    ),
]
SHELL = "shell --no-imports --command".split()
COUNT = """
from django.apps import apps
for model in apps.get_models():
    print(model._meta.label, model.objects.count())
"""
NAMES = """
from apps.users.models import User
from apps.shelves.models import Shelf
print(*User.objects.order_by("pk").values_list("email", "first_name", "is_staff"))
print(*Shelf.objects.order_by("pk").values_list("owner__email", "title"))
"""
AUTHOR = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")


@pytest.fixture(scope="module", params=ORIGINS)
def origin(request, tmp_path_factory) -> Project:
    """Return a project whose owner has run `just setup` and committed it."""
    project = Project.bake(tmp_path_factory.mktemp("setup"), **request.param)
    project.uv("run", "just", "setup")
    run("git", "add", ".", cwd=project.path)
    commit = ("commit", "--quiet", "--no-verify", "--message", "Start")
    run("git", *AUTHOR, *commit, cwd=project.path)
    return project


@pytest.fixture
def clone(origin, tmp_path) -> Project:
    path = tmp_path / "clone"
    run("git", "clone", "--quiet", origin.path, path, cwd=tmp_path)
    return Project(path, origin.answers)


def test_a_clone_runs_after_one_command_and_keeps_all_at_the_second(origin, clone):
    first = clone.uv("run", "just", "setup")
    assert first.stdout.endswith("Ready. Next: uv run just dev\n")
    made = look(clone.path / ".env")
    hook = (clone.path / ".git/hooks/pre-commit").read_text()
    assert stat.S_IMODE(made[0]) == 0o600
    check_secrets(clone, origin)
    assert run("git", "status", "--porcelain", cwd=clone.path).stdout == ""
    with develop(clone) as server:
        for path in ("/", "/admin/login/", "/health/ready/", "/static/css/site.css"):
            assert server.get(path).status == 200

    # The environment is there: the second time needs no network.
    again = clone.uv("run", "just", "setup", env={"UV_OFFLINE": "1"})
    assert again.stdout.endswith("Ready. Next: uv run just dev\n")
    assert "No migrations to apply." in again.stdout
    assert look(clone.path / ".env") == made
    assert (clone.path / ".git/hooks/pre-commit").read_text() == hook
    with develop(clone) as server:
        assert server.get("/").status == 200


def test_the_administrator_of_the_seed_logs_in(clone, page):
    printed = clone.uv("run", "just", "setup").stdout
    says = re.search(r"^users: log in as (\S+) with the password (\S+)$", printed, re.M)
    before = count_rows(clone)
    assert before["users.User"] > 5
    with develop(clone) as server:
        page.goto(f"{server.url}/admin/")
        page.fill("#id_username", says[1])
        page.fill("#id_password", says[2])
        page.click("[type=submit]")
        page.wait_for_selector("#user-tools")

    again = clone.uv("run", "just", "seed").stdout
    assert "users: there are some already" in again
    assert f"makes {says[1]} with the password {says[2]}" in again
    assert count_rows(clone)["users.User"] == before["users.User"]


@pytest.mark.long
def test_an_app_is_seeded_once_and_always_with_the_same_data(clone, tmp_path):
    clone.uv("run", "just", "setup")
    clone.uv("run", "just", "app", "shelves", "Shelf")
    clone.uv("run", "just", "migrate")
    users, shelves = clone.uv("run", "just", "seed").stdout.splitlines()
    assert users.startswith("users: there are some already")
    assert shelves == "shelves: 60 new ones"
    with develop(clone) as server:
        assert "?after=" in server.get("/shelves/").text
    rows = count_rows(clone)
    assert rows["shelves.Shelf"] == 60

    users, shelves = clone.uv("run", "just", "seed").stdout.splitlines()
    assert users.startswith("users: there are some already")
    assert shelves == "shelves: there are some already"
    assert count_rows(clone) == rows

    url = {"DATABASE_URL": f"sqlite:///{tmp_path / 'another'}"}
    clone.uv("run", "just", "migrate", env=url)
    assert "log in as admin" in clone.uv("run", "just", "seed", env=url).stdout
    names = clone.manage(*SHELL, NAMES).stdout
    assert names
    assert clone.manage(*SHELL, NAMES, env=url).stdout == names


@pytest.mark.long
def test_a_seed_that_fails_leaves_nothing(clone):
    with (clone.path / "apps/users/tests/factories.py").open("a") as factories:
        factories.write("\n\ndef plant():\n    raise ValueError('half way')\n")
    failed = clone.uv("run", "just", "setup", check=False)
    assert failed.returncode
    assert "half way" in failed.stderr
    assert count_rows(clone)["users.User"] == 0


@pytest.mark.long
def test_only_development_is_seeded(clone, services):
    env = production_environment(clone.answers, services)
    clone.uv("run", "just", "migrate", env=env)
    refused = clone.uv("run", "just", "seed", env=env, check=False)
    assert refused.returncode == 1
    sentence = "Only development is seeded: the password is no secret."
    assert sentence in refused.stderr.splitlines()
    assert "Traceback" not in refused.stderr
    assert count_rows(clone, env)["users.User"] == 0


@pytest.mark.long
def test_the_hook_lints_each_commit(clone):
    clone.uv("run", "just", "setup")
    (clone.path / "apps/pages/views.py").write_text("import os\n")
    refused = run("git", *AUTHOR, "commit", "-am", "x", cwd=clone.path, check=False)
    assert refused.returncode
    assert "F401" in refused.stderr


@pytest.mark.long
def test_a_folder_that_is_no_repository_of_its_own_gets_no_hook(clone, tmp_path):
    """A hook in a larger repository would look for its configuration there."""
    run("git", "init", "--quiet", cwd=tmp_path)
    (clone.path / ".git").rename(tmp_path / "elsewhere")
    clone.uv("run", "just", "setup")
    assert not (tmp_path / ".git/hooks/pre-commit").exists()


@pytest.mark.long
def test_a_server_that_is_away_is_named_and_nothing_else_is_said(clone):
    if clone.answers["database"] == "sqlite":
        url = f"sqlite:///{clone.path}/missing/db.sqlite3"
    else:
        url = f"postgresql://postgres:x@127.0.0.1:{free_port()}/shop"
    (clone.path / ".env").write_text(f"DATABASE_URL={url}\n")
    result = clone.uv("run", "just", "setup", check=False)
    assert result.returncode
    advice = "Start the database's server, or mend DATABASE_URL."
    assert f"error    database       OperationalError. {advice}" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (clone.path / ".git/hooks/pre-commit").exists()


def test_what_fails_leaves_no_half_written_env(clone):
    (clone.path / ".env.example").unlink()
    result = clone.uv("run", "just", "setup", check=False)
    assert result.returncode
    assert ".env.example" in result.stderr
    assert not (clone.path / ".env").exists()


def count_rows(project: Project, env: dict[str, str] | None = None) -> dict[str, int]:
    """Return the number of rows of each model."""
    lines = project.manage(*SHELL, COUNT, env=env).stdout.splitlines()
    counts = [line.split() for line in lines if re.fullmatch(r"\w+\.\w+ \d+", line)]
    return {label: int(count) for label, count in counts}


def look(path: Path):
    """Return what a second `just setup` must not change."""
    found = path.stat()
    return found.st_mode, found.st_ino, found.st_mtime_ns, path.read_text()


def check_secrets(clone: Project, origin: Project) -> None:
    """All secrets are set and new; everything else is as in .env.example."""
    old, new, example = (
        (project.path / name).read_text().splitlines()
        for project, name in (
            (origin, ".env"),
            (clone, ".env"),
            (clone, ".env.example"),
        )
    )
    secrets = 0
    for before, now, line in zip(old, new, example, strict=True):
        if not line.startswith("#") and line.endswith(("_KEY=", "_PASSWORD=")):
            secrets += 1
            assert before != now
            assert now.startswith(line)
            assert len(now) >= len(line) + 64
        else:
            assert before == now == line
    assert secrets == (2 if clone.answers["database"] == "postgresql" else 1)
