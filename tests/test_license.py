"""The licence that was chosen: its whole text, the year and the holder, and its name wherever it is stated."""

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
# The texts as SPDX publishes them, release 3.28: https://github.com/spdx/license-list-data
TEXTS = Path(__file__).parent / "licenses"
# What stands in them for the year and the holder.
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

    assert (project.path / "LICENSE").read_text(
        encoding="utf-8"
    ).split() == expected.split()


def test_proprietary_text_keeps_all_rights(tmp_path):
    text = (bake(tmp_path, "proprietary").path / "LICENSE").read_text(encoding="utf-8")

    assert text.startswith(
        f"Copyright (c) {datetime.now(UTC).year} {HOLDER}\n\nAll rights reserved."
    )


@pytest.mark.parametrize("answer", CHOICES["license"])
def test_metadata_readme_and_image_name_it(project, answer):
    metadata = tomllib.loads(
        (project.path / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    assert metadata["license"] == NAMES[answer]
    assert [
        path
        for pattern in metadata["license-files"]
        for path in project.path.glob(pattern)
    ] == [project.path / "LICENSE"]
    assert (
        f'org.opencontainers.image.licenses="{NAMES[answer]}"'
        in (project.path / "Dockerfile").read_text()
    )
    assert re.search(
        rf"^{answer}[,:].*\(LICENSE\)\.$",
        (project.path / "README.md").read_text(),
        re.M | re.I,
    )


@pytest.fixture
def project(tmp_path, answer) -> Project:
    return bake(tmp_path, answer)


def bake(folder: Path, answer: str) -> Project:
    return Project.bake(folder, license=answer, author_name=HOLDER)
