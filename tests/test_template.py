"""What holds for the template before anything is baked: it parses, lints and formats as it stands."""

import ast
import json
import re
import tomllib

import pytest
import yaml

from tests.bakery import CHOICES, PROJECT_TEMPLATE, QUESTIONS, TEMPLATE, run

PYTHON_FILES = sorted(PROJECT_TEMPLATE.rglob("*.py"))


@pytest.mark.parametrize(
    "path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PROJECT_TEMPLATE))
)
def test_python_parses_and_holds_no_jinja_block(path):
    source = path.read_text(encoding="utf-8")
    ast.parse(source)
    assert "{%" not in source


def test_python_passes_the_projects_own_rules_in_place():
    run("ruff", "check", "--no-cache", ".", cwd=PROJECT_TEMPLATE)
    run("ruff", "format", "--no-cache", "--check", ".", cwd=PROJECT_TEMPLATE)


def test_configuration_parses_in_place():
    tomllib.loads((PROJECT_TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    for path in PROJECT_TEMPLATE.rglob("*.y*ml"):
        yaml.safe_load(path.read_text(encoding="utf-8"))


def test_every_question_has_a_prompt_and_every_answer_a_line_of_help():
    prompts = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))[
        "__prompts__"
    ]
    assert list(prompts) == list(QUESTIONS)
    for question, answers in CHOICES.items():
        assert set(prompts[question]) == {"__prompt__", *answers}


def test_promises_have_a_row_for_each_drill():
    table = (TEMPLATE / "docs" / "promises.md").read_text(encoding="utf-8")
    drills = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in TEMPLATE.glob("tests/drill/test_*.py")
    ]
    promises = {
        ast.get_docstring(drill).splitlines()[0].rstrip(".") for drill in drills
    }
    assert len(promises) == len(drills) > 0
    assert [promise for promise in promises if f"| {promise} | " not in table] == []


def test_readme_names_every_question_and_answer():
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(): line
        for line in readme.splitlines()
        if line.startswith("| `")
    }
    for question in QUESTIONS:
        assert f"`{question}`" in rows, f"README.md has no row for {question}"
        for answer in CHOICES.get(question, []):
            assert f"`{answer}`" in rows[f"`{question}`"], (
                f"README.md does not name {question}={answer}"
            )


def test_changelog_begins_with_the_version_that_projects_are_given():
    newest = re.search(
        r"^## (\d+\.\d+\.\d+)\b",
        (TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    settings = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    metadata = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert newest[1] == settings["_template_version"] == metadata["version"]


def test_scripts_are_sound():
    run(
        "shellcheck",
        *sorted((TEMPLATE / "scripts").iterdir()),
        TEMPLATE / ".ci" / "run",
        cwd=TEMPLATE,
    )
