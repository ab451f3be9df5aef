"""The template before a bake: it parses and passes its own linter and formatter."""

import ast
import re
import tomllib

import pytest
import yaml

from tests.bakery import CHOICES, CONTEXT, PROJECT_TEMPLATE, QUESTIONS, TEMPLATE, run

PYTHON_FILES = sorted(
    path
    for suffix in ("py", "py-tpl")
    for path in PROJECT_TEMPLATE.rglob(f"*.{suffix}")
)


@pytest.mark.parametrize(
    "path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PROJECT_TEMPLATE))
)
def test_python_parses_and_holds_no_jinja_block(path):
    source = path.read_text(encoding="utf-8")
    ast.parse(source)
    assert "{%" not in source


def test_python_passes_the_projects_own_rules_in_place():
    # One function for each interface: a bake has one of them.
    run(
        "ruff", "check", "--no-cache", "--extend-ignore=F811", ".", cwd=PROJECT_TEMPLATE
    )
    run("ruff", "format", "--no-cache", "--check", ".", cwd=PROJECT_TEMPLATE)


def test_configuration_parses_in_place():
    tomllib.loads((PROJECT_TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    for path in PROJECT_TEMPLATE.rglob("*.y*ml"):
        assert all(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_every_question_has_a_prompt_and_every_answer_a_line_of_help():
    prompts = CONTEXT["__prompts__"]
    assert list(prompts) == list(QUESTIONS)
    for question, answers in CHOICES.items():
        assert set(prompts[question]) == {"__prompt__", *answers}


def test_promises_have_a_row_for_each_drill():
    table = (TEMPLATE / "docs" / "promises.md").read_text(encoding="utf-8")
    folders = ("drill", "server")
    paths = [
        path for name in folders for path in TEMPLATE.glob(f"tests/{name}/test_*.py")
    ]
    drills = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    names = [ast.get_docstring(drill).splitlines()[0] for drill in drills]
    promises = {name.rstrip(".") for name in names}
    assert len(promises) == len(drills) > 0
    assert [promise for promise in promises if f"| {promise} | " not in table] == []


def test_readme_names_every_question_and_answer():
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    lines = [line for line in readme.splitlines() if line.startswith("| `")]
    rows = {line.split("|")[1].strip("` "): line for line in lines}
    for question in QUESTIONS:
        assert question in rows, f"README.md has no row for {question}"
        for answer in CHOICES.get(question, []):
            is_named = f"`{answer}`" in rows[question]
            assert is_named, f"README.md does not name {question}={answer}"


def test_changelog_begins_with_the_version_that_projects_are_given():
    changelog = (TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d+\.\d+\.\d+)\b", changelog, re.MULTILINE)
    pyproject = (TEMPLATE / "pyproject.toml").read_text(encoding="utf-8")
    version = tomllib.loads(pyproject)["project"]["version"]
    assert newest[1] == CONTEXT["_template_version"] == version


def test_scripts_are_sound():
    scripts = sorted((TEMPLATE / "scripts").iterdir())
    run("shellcheck", *scripts, TEMPLATE / ".ci" / "run", cwd=TEMPLATE)
