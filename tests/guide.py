"""Reads the developer's guide of a project, and does what its code blocks say.

A block of `sh` is run in the project's folder. A block of `diff` changes the file that
the text above it names last: its lines without `+` are there exactly once. A block of
`python`, `html`, `js` or `txt` below "Create `path`" is a new file. The other
languages, `shell` and `text`, are for the reader alone: they need a server or a person.
"""

import re
from dataclasses import dataclass

from tests.bakery import Project, run

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOR_READERS = {"shell", "text"}
FILES = {"html", "js", "python", "txt"}


@dataclass
class Chapter:
    title: str
    # The text before a block, the block's language, and the block.
    blocks: list[tuple[str, str, str]]

    def follow(self, project: Project) -> None:
        """Do all that the chapter says, from its first block to its last."""
        for text, language, block in self.blocks:
            if language == "sh":
                python = {"UV_PYTHON": project.python}
                run("sh", "-euc", block, cwd=project.path, env=python)
            elif language not in FOR_READERS:
                self.write(
                    project, language, re.findall(r"`([^`\s]+)`", text)[-1], block
                )

    def write(self, project: Project, language: str, path: str, block: str) -> None:
        file = project.path / path
        where = f"{self.title}: {path}"
        if language == "diff":
            old, new = read_diff(block)
            before = file.read_text()
            assert before.count(old) == 1, (
                f"{where} has no such lines, or twice:\n{old}"
            )
            file.write_text(before.replace(old, new))
        else:
            assert language in FILES, f"{where} is in {language}"
            assert not file.exists(), f"{where} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block)


def read_guide(project: Project) -> list[Chapter]:
    text = (project.path / "docs" / "development.md").read_text()
    _, *chapters = re.split(r"^## ", text, flags=re.MULTILINE)
    return [read_chapter(chapter) for chapter in chapters]


def read_chapter(text: str) -> Chapter:
    title, _, body = text.partition("\n")
    # Texts, languages and blocks in turn.
    parts = FENCE.split(body)
    blocks = list(zip(parts[::3], parts[1::3], parts[2::3], strict=False))
    assert "```" not in "".join(parts[::3]), f"{title}: a block that is not whole"
    return Chapter(title, blocks)


def read_diff(block: str) -> tuple[str, str]:
    """Return the lines that a diff finds, and what it leaves in their place."""
    lines = [line or " " for line in block.splitlines()]
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] != "+")
    new = "".join(f"{line[1:]}\n" for line in lines if line[0] != "-")
    return old, new
