"""Updates with cruft: later versions arrive, and the owner's changes stay."""

import re
import shutil
import stat
from difflib import Match, SequenceMatcher
from pathlib import Path

import pytest

from tests.bakery import TEMPLATE, Project, run

pytestmark = pytest.mark.xdist_group("update")

# A commit of this repository before projects had `[tool.cruft]`.
BASE = "8fb759b51daa9d8c3d19ae815e716ece26f3344a"
OWNERS_LINE = "# Changed by the owner.\n"


@pytest.mark.parametrize("way", ["create", "link"])
def test_update_brings_every_change_and_keeps_nine_edited_files(
    template, tmp_path, way
):
    project = make_old_project(template, tmp_path, way)
    fresh = Project.bake(tmp_path / "fresh")
    paths = fresh.files() - {".env"}
    expected = {path: (fresh.path / path).read_bytes() for path in paths}
    edited = {}
    for path in choose_files(project, fresh)[:9]:
        text, edited[path] = edit_both(read(project, path), read(fresh, path))
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
    for path in expected.keys() - edited:
        assert (project.path / path).read_bytes() == expected[path], path
    assert env.read_text() == secrets
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    run("git", "diff", "--check", cwd=project.path)
    shown = cruft(tmp_path, "diff", cwd=project.path).stdout
    assert OWNERS_LINE in shown
    for line in secrets.splitlines():
        is_secret = "=" in line and line[0] != "#"
        assert not is_secret or line not in shown
    assert "SUCCESS" in cruft(tmp_path, "check", cwd=project.path).stdout


def test_conflict_is_marked_and_the_command_in_the_readme_finds_it(template, tmp_path):
    project = make_old_project(template, tmp_path, "create")
    fresh = Project.bake(tmp_path / "fresh")
    path, line = next(
        (path, line)
        for path in choose_files(project, fresh)
        for line in find_replaced_lines(read(project, path), read(fresh, path))
    )
    changed = read(project, path).replace(line, OWNERS_LINE, 1)
    (project.path / path).write_text(changed, encoding="utf-8")
    add_the_readmes_lines(project)
    commit(project.path)

    update = cruft(tmp_path, "update", "--skip-apply-ask", cwd=project.path)

    assert f"'{path}' with conflicts" in update.stderr
    ours = rf"<<<<<<< .*\n(?:.*\n)*?{OWNERS_LINE}(?:.*\n)*?"
    theirs = r"=======\n(?:.*\n)*?>>>>>>> "
    assert re.search(f"^{ours}{theirs}", read(project, path), re.M)
    check = run("git", "diff", "--check", cwd=project.path, check=False)
    assert check.returncode
    assert f"{path}:" in check.stdout
    assert not list(project.path.rglob("*.rej"))


def test_update_across_a_change_of_the_hook_is_silent_and_needs_no_preparation(
    template, tmp_path
):
    later = tmp_path / "later"
    run("git", "clone", "--quiet", template, later, cwd=tmp_path)
    options = ("--no-input", "--output-dir", tmp_path)
    created = cruft(tmp_path, "create", later, *options, cwd=tmp_path)
    assert created.stdout.count("is ready:") == 1
    project = Project(tmp_path / "my_project")
    commit(project.path)
    hook = later / "hooks" / "post_gen_project.py"
    text = hook.read_text(encoding="utf-8")
    old, new = "refs/heads/main", "refs/heads/trunk"
    assert old in text
    hook.write_text(text.replace(old, new), encoding="utf-8")
    manage = later / "{{cookiecutter.project_slug}}" / "manage.py"
    with manage.open("a", encoding="utf-8") as file:
        file.write(OWNERS_LINE)
    commit(later)
    assert cruft(tmp_path, "check", cwd=project.path, check=False).returncode
    assert cruft(tmp_path, "diff", "--exit-code", cwd=project.path).stdout == ""

    update = cruft(tmp_path, "update", "--skip-apply-ask", cwd=project.path)

    assert update.stdout.splitlines() == [
        "Good work! Project's cruft has been updated and is as clean as possible!"
    ]
    assert read(project, "manage.py").endswith(OWNERS_LINE)
    status = run("git", "status", "--short", cwd=project.path).stdout
    assert status.split() == ["M", ".cruft.json", "M", "manage.py"]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """Clone this repository, and commit the present state of the work tree."""
    repository = tmp_path_factory.mktemp("history") / "template"
    run("git", "clone", "--quiet", TEMPLATE, repository, cwd=TEMPLATE)
    find_base = ("git", "cat-file", "-e", f"{BASE}^{{commit}}")
    known = run(*find_base, cwd=repository, check=False)
    advice = "This clone has no history. Fetch it with: git fetch --unshallow"
    assert known.returncode == 0, advice
    run("git", "rm", "-r", "--quiet", ".", cwd=repository)
    options = ("-z", "--cached", "--others", "--exclude-standard")
    listed = run("git", "ls-files", *options, cwd=TEMPLATE).stdout
    for path in listed.rstrip("\0").split("\0"):
        if (TEMPLATE / path).exists():
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / path, repository / path)
    commit(repository)
    return repository


def make_old_project(template: Path, folder: Path, way: str) -> Project:
    """Make and commit a project of BASE, and tell cruft, in one way of the README."""
    project = Project(folder / "my_project")
    base = ("--checkout", BASE)
    if way == "create":
        options = (*base, "--no-input", "--output-dir", folder)
        cruft(folder, "create", template, *options, cwd=folder)
        commit(project.path)
    else:
        command = ("cookiecutter", f"git+file://{template}", *base, "--no-input")
        run(*command, cwd=folder, env={"HOME": str(folder)})
        commit(project.path)
        cruft(folder, "link", template, *base, cwd=project.path, input="\n" * 50)
        commit(project.path)
    return project


def add_the_readmes_lines(project: Project) -> None:
    """Add the lines in docs/updating.md that an older project needs."""
    guide = (TEMPLATE / "docs" / "updating.md").read_text(encoding="utf-8")
    lines = re.search(r"```toml\n(.*?)```", guide, re.S)[1].replace("   ", "").rstrip()
    place = "[tool.uv]\npackage = false\n"
    text = read(project, "pyproject.toml")
    assert text.count(place) == 1
    changed = text.replace(place, f"{place}\n{lines}\n")
    (project.path / "pyproject.toml").write_text(changed, encoding="utf-8")


def choose_files(project: Project, fresh: Project) -> list[str]:
    """Return text files with room for an edit, those with template changes first."""

    def has_room(path: str) -> bool:
        return find_common_part(read(project, path), read(fresh, path)).size >= 8

    both = sorted(project.files() & fresh.files() - {".env"})
    texts = [path for path in both if not path.endswith(".ico")]
    roomy = [path for path in texts if has_room(path)]
    return sorted(roomy, key=lambda path: read(project, path) == read(fresh, path))


def edit_both(old: str, new: str) -> tuple[str, str]:
    """Return both texts with the owner's line inside their longest common part."""
    part = find_common_part(old, new)
    texts = []
    for text, start in ((old, part.a), (new, part.b)):
        lines = text.splitlines(keepends=True)
        lines.insert(start + part.size // 2, OWNERS_LINE)
        texts.append("".join(lines))
    return texts[0], texts[1]


def find_common_part(old: str, new: str) -> Match:
    """Return the longest run of equal lines: its start in both texts, and its size."""
    lines, others = old.splitlines(), new.splitlines()
    return SequenceMatcher(None, lines, others, autojunk=False).find_longest_match()


def find_replaced_lines(old: str, new: str) -> list[str]:
    """Return the unique lines of the old text that the new one replaces."""
    lines, others = (text.splitlines(keepends=True) for text in (old, new))
    changes = SequenceMatcher(None, lines, others, autojunk=False).get_opcodes()
    replaced = [lines[start] for change, start, *_ in changes if change == "replace"]
    return [line for line in replaced if lines.count(line) == 1]


def read(project: Project, path: str) -> str:
    return (project.path / path).read_text(encoding="utf-8")


def commit(repository: Path) -> None:
    author = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")
    options = ("--quiet", "--allow-empty", "--message", "Change")
    run("git", "add", "--all", cwd=repository)
    run("git", *author, "commit", *options, cwd=repository)


def cruft(home: Path, *arguments: str | Path, cwd: Path, **options):
    """Run cruft without the user's own defaults."""
    return run("cruft", *arguments, cwd=cwd, env={"HOME": str(home)}, **options)
