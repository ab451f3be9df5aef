"""A project follows its template: later versions arrive, and what its owner has changed stays."""

import re
import shutil
import stat
from difflib import Match, SequenceMatcher
from pathlib import Path

import pytest

from tests.bakery import TEMPLATE, Project, run

pytestmark = pytest.mark.xdist_group("update")

# A commit of this repository from before `[tool.cruft]` came into the projects.
BASE = "8fb759b51daa9d8c3d19ae815e716ece26f3344a"
OWNERS_LINE = "# Changed by the owner.\n"


@pytest.mark.parametrize("way", ["create", "link"])
def test_update_brings_every_change_and_keeps_nine_edited_files(
    template, tmp_path, way
):
    project = make_old_project(template, tmp_path, way)
    fresh = Project.bake(tmp_path / "fresh")
    expected = {
        path: (fresh.path / path).read_bytes() for path in fresh.files() - {".env"}
    }
    edited = {}
    for path in choose_files(project, fresh)[:9]:
        text, edited[path] = edit_both(
            *(read(either, path) for either in (project, fresh))
        )
        (project.path / path).write_text(text, encoding="utf-8")
    assert len(edited) == 9
    add_the_readmes_lines(project)
    commit(project.path)
    env = project.path / ".env"
    secrets = env.read_text()

    update = cruft(tmp_path, "update", "--skip-apply-ask", cwd=project.path)

    assert "conflict" not in update.stderr
    assert ".rej" not in update.stdout
    assert project.files() == fresh.files() | {".cruft.json"}
    assert {path: read(project, path) for path in edited} == edited
    assert [
        path
        for path in expected.keys() - edited
        if (project.path / path).read_bytes() != expected[path]
    ] == []
    assert env.read_text() == secrets
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    run("git", "diff", "--check", cwd=project.path)
    shown = cruft(tmp_path, "diff", cwd=project.path).stdout
    assert OWNERS_LINE in shown
    assert [
        line
        for line in secrets.splitlines()
        if "=" in line and line[0] != "#" and line in shown
    ] == []
    assert "SUCCESS" in cruft(tmp_path, "check", cwd=project.path).stdout


def test_change_that_meets_the_owners_is_marked_and_found_by_the_readmes_command(
    template, tmp_path
):
    project = make_old_project(template, tmp_path, "create")
    fresh = Project.bake(tmp_path / "fresh")
    path, line = next(
        (path, line)
        for path in choose_files(project, fresh)
        for line in find_replaced_lines(read(project, path), read(fresh, path))
    )
    (project.path / path).write_text(
        read(project, path).replace(line, OWNERS_LINE, 1), encoding="utf-8"
    )
    add_the_readmes_lines(project)
    commit(project.path)

    update = cruft(tmp_path, "update", "--skip-apply-ask", cwd=project.path)

    assert f"'{path}' with conflicts" in update.stderr
    assert re.search(
        rf"^<<<<<<< .*\n(?:.*\n)*?{OWNERS_LINE}(?:.*\n)*?=======\n(?:.*\n)*?>>>>>>> ",
        read(project, path),
        re.M,
    )
    check = run("git", "diff", "--check", cwd=project.path, check=False)
    assert check.returncode
    assert f"{path}:" in check.stdout
    assert not list(project.path.rglob("*.rej"))


def test_update_across_a_change_of_the_hook_is_silent_and_needs_no_preparation(
    template, tmp_path
):
    later = tmp_path / "later"
    run("git", "clone", "--quiet", template, later, cwd=tmp_path)
    created = cruft(
        tmp_path, "create", later, "--no-input", "--output-dir", tmp_path, cwd=tmp_path
    )
    assert created.stdout.count("is ready. Next:") == 1
    project = Project(tmp_path / "my_project")
    commit(project.path)
    hook = later / "hooks" / "post_gen_project.py"
    text = hook.read_text(encoding="utf-8")
    assert "refs/heads/main" in text
    hook.write_text(
        text.replace("refs/heads/main", "refs/heads/trunk"), encoding="utf-8"
    )
    with (later / "{{cookiecutter.project_slug}}" / "manage.py").open(
        "a", encoding="utf-8"
    ) as file:
        file.write(OWNERS_LINE)
    commit(later)
    assert cruft(tmp_path, "check", cwd=project.path, check=False).returncode
    assert cruft(tmp_path, "diff", "--exit-code", cwd=project.path).stdout == ""

    update = cruft(tmp_path, "update", "--skip-apply-ask", cwd=project.path)

    assert update.stdout.splitlines() == [
        "Good work! Project's cruft has been updated and is as clean as possible!"
    ]
    assert read(project, "manage.py").endswith(OWNERS_LINE)
    assert run("git", "status", "--short", cwd=project.path).stdout.split() == [
        "M",
        ".cruft.json",
        "M",
        "manage.py",
    ]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A repository with the history of this one, whose last commit is what the work tree holds."""
    repository = tmp_path_factory.mktemp("history") / "template"
    run("git", "clone", "--quiet", TEMPLATE, repository, cwd=TEMPLATE)
    known = run(
        "git", "cat-file", "-e", f"{BASE}^{{commit}}", cwd=repository, check=False
    )
    assert known.returncode == 0, (
        "This clone has no history. Fetch it with: git fetch --unshallow"
    )
    run("git", "rm", "-r", "--quiet", ".", cwd=repository)
    listed = run(
        "git",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        cwd=TEMPLATE,
    ).stdout
    for path in listed.rstrip("\0").split("\0"):
        if (TEMPLATE / path).exists():
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / path, repository / path)
    commit(repository)
    return repository


def make_old_project(template: Path, folder: Path, way: str) -> Project:
    """A project of BASE that is committed and known to cruft, as the README says for each way."""
    project = Project(folder / "my_project")
    if way == "create":
        cruft(
            folder,
            "create",
            template,
            "--checkout",
            BASE,
            "--no-input",
            "--output-dir",
            folder,
            cwd=folder,
        )
        commit(project.path)
    else:
        run(
            "cookiecutter",
            f"git+file://{template}",
            "--checkout",
            BASE,
            "--no-input",
            cwd=folder,
            env={"HOME": str(folder)},
        )
        commit(project.path)
        cruft(
            folder,
            "link",
            template,
            "--checkout",
            BASE,
            cwd=project.path,
            input="\n" * 50,
        )
        commit(project.path)
    return project


def add_the_readmes_lines(project: Project) -> None:
    """Add the lines that docs/updating.md has for the owner of an older project."""
    guide = (TEMPLATE / "docs" / "updating.md").read_text(encoding="utf-8")
    lines = re.search(r"```toml\n(.*?)```", guide, re.S)[1].replace("   ", "").rstrip()
    place = "[tool.uv]\npackage = false\n"
    text = read(project, "pyproject.toml")
    assert text.count(place) == 1
    (project.path / "pyproject.toml").write_text(
        text.replace(place, f"{place}\n{lines}\n"), encoding="utf-8"
    )


def choose_files(project: Project, fresh: Project) -> list[str]:
    """The text files that an owner can edit out of the template's way, those that the template has changed first."""
    both = sorted(
        path
        for path in project.files() & fresh.files() - {".env"}
        if not path.endswith(".ico")
    )
    roomy = [
        path
        for path in both
        if find_common_part(read(project, path), read(fresh, path)).size >= 8
    ]
    return sorted(roomy, key=lambda path: read(project, path) == read(fresh, path))


def edit_both(old: str, new: str) -> tuple[str, str]:
    """Both texts with the owner's line amid the longest part that they have in common."""
    part = find_common_part(old, new)
    texts = []
    for text, start in ((old, part.a), (new, part.b)):
        lines = text.splitlines(keepends=True)
        lines.insert(start + part.size // 2, OWNERS_LINE)
        texts.append("".join(lines))
    return texts[0], texts[1]


def find_common_part(old: str, new: str) -> Match:
    """Where the longest run of equal lines begins in both texts, and how many there are."""
    return SequenceMatcher(
        None, old.splitlines(), new.splitlines(), autojunk=False
    ).find_longest_match()


def find_replaced_lines(old: str, new: str) -> list[str]:
    """The lines of the old text that stand there once and have others in their place now."""
    lines, others = (text.splitlines(keepends=True) for text in (old, new))
    changes = SequenceMatcher(None, lines, others, autojunk=False).get_opcodes()
    replaced = [lines[start] for change, start, *_ in changes if change == "replace"]
    return [line for line in replaced if lines.count(line) == 1]


def read(project: Project, path: str) -> str:
    return (project.path / path).read_text(encoding="utf-8")


def commit(repository: Path) -> None:
    author = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")
    run("git", "add", "--all", cwd=repository)
    run(
        "git",
        *author,
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "Change",
        cwd=repository,
    )


def cruft(home: Path, *arguments: str | Path, cwd: Path, **options):
    """Run cruft without the user's own defaults."""
    return run("cruft", *arguments, cwd=cwd, env={"HOME": str(home)}, **options)
