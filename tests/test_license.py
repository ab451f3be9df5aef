"""The chosen licence: its complete text, the year and the holder, and its name."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bakery import CHOICES, Project

HOLDER = 'Ada "Countess" O\'Neill \\ <Lovelace> & Söhne'
NAMES = {answer: answer for answer in CHOICES["license"]} | {
    "proprietary": "LicenseRef-Proprietary"
}
# The texts of SPDX, release 3.28 of https://github.com/spdx/license-list-data.
TEXTS = Path(__file__).parent / "licenses"
# Their placeholders for the year and the holder.
BLANKS = {
    "MIT": "<year> <copyright holders>",
    "BSD-3-Clause": "<year> <owner>.",
    "Apache-2.0": "[yyyy] [name of copyright owner]",
}


@pytest.mark.parametrize("answer", BLANKS)
def test_text_is_the_licences_own_word_for_word(project, answer):
    published = (TEXTS / f"{answer}.txt").read_text(encoding="utf-8")
    assert published.count(BLANKS[answer]) == 1

    expected = published.replace(BLANKS[answer], f"{datetime.now(UTC).year} {HOLDER}")

    assert read(project, "LICENSE").split() == expected.split()


def test_proprietary_text_keeps_all_rights(tmp_path):
    text = read(bake(tmp_path, "proprietary"), "LICENSE")

    notice = f"Copyright (c) {datetime.now(UTC).year} {HOLDER}"
    assert text.startswith(f"{notice}\n\nAll rights reserved.")


@pytest.mark.parametrize("answer", CHOICES["license"])
def test_metadata_readme_and_image_name_it(project, answer):
    metadata = tomllib.loads(read(project, "pyproject.toml"))["project"]
    assert metadata["license"] == NAMES[answer]
    patterns = metadata["license-files"]
    files = [path for pattern in patterns for path in project.path.glob(pattern)]
    assert files == [project.path / "LICENSE"]
    label = f'org.opencontainers.image.licenses="{NAMES[answer]}"'
    assert label in read(project, "Dockerfile")
    line = rf"^{answer}[,:].*\(LICENSE\)\.$"
    assert re.search(line, read(project, "README.md"), re.M | re.I)


@pytest.fixture
def project(tmp_path, answer) -> Project:
    return bake(tmp_path, answer)


def bake(folder: Path, answer: str) -> Project:
    return Project.bake(folder, license=answer, author_name=HOLDER)


def read(project: Project, path: str) -> str:
    return (project.path / path).read_text(encoding="utf-8")
