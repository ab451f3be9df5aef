"""The hooks as plain functions, imported without Cookiecutter."""

import ast
import importlib.util
import stat
import subprocess
import sys

import pytest

from tests.bakery import CHOICES, DEFAULTS, PROJECT_TEMPLATE, QUESTIONS, TEMPLATE

HOOKS = sorted((TEMPLATE / "hooks").glob("*.py"))
GOOD = {
    question: answers if isinstance(answers, str) else answers[0]
    for question, answers in QUESTIONS.items()
}
GOOD["project_slug"] = "my_project"


def test_default_answers_have_no_problem():
    assert load("pre_gen_project").find_problems(GOOD) == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("project_slug", ""),
        ("project_slug", "1st"),
        ("project_slug", "_hidden"),
        ("project_slug", "My_Project"),
        ("project_slug", "my-project"),
        ("project_slug", "my project"),
        ("project_slug", "../escape"),
        ("project_slug", "é"),
        ("project_slug", "a" * 51),
        ("project_slug", "class"),
        ("project_slug", "json"),
        ("project_slug", "django"),
        ("project_slug", "config"),
        ("project_slug", "apps"),
        ("project_slug", "tests"),
        ("project_name", "   "),
        ("project_name", "two\nlines"),
        ("project_name", "bell\a"),
        ("description", "two\u2028lines"),
        ("author_name", "a\ttab"),
        ("author_email", ""),
        ("author_email", "nobody"),
        ("author_email", "two@at@example.com"),
        ("author_email", "no body@example.com"),
        ("author_email", "nobody@example"),
        ("domain_name", ""),
        ("domain_name", "https://example.com"),
        ("domain_name", "example.com:8000"),
        ("domain_name", "example.com/path"),
        ("domain_name", "-example.com"),
        ("domain_name", "exa_mple.com"),
        ("domain_name", "192.0.2.1"),
        ("domain_name", f"{'a' * 64}.com"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "europe"),
        ("time_zone", "../etc/passwd"),
    ],
)
def test_bad_answer_is_named(question, answer):
    problems = load("pre_gen_project").find_problems(GOOD | {question: answer})
    assert len(problems) == 1
    assert problems[0].startswith(question)


def test_all_problems_are_told_together():
    answers = GOOD | {
        "project_slug": "class",
        "author_email": "nobody",
        "domain_name": "x y",
        "time_zone": "Nowhere",
    }
    problems = load("pre_gen_project").find_problems(answers)
    named = [problem.split()[0] for problem in problems]
    assert named == ["project_slug", "author_email", "domain_name", "time_zone"]


@pytest.mark.parametrize(
    ("question", "answer"), [("database", "sqlite"), ("media_storage", "filesystem")]
)
def test_what_needs_one_machine_is_refused_with_kubernetes(question, answer):
    find_problems = load("pre_gen_project").find_problems
    answers = GOOD | {question: answer}
    assert find_problems(answers) == []
    [problem] = find_problems(answers | {"deployment": "kubernetes"})
    assert problem.startswith(f"{question} '{answer}' is for one machine")


@pytest.mark.parametrize(
    "answers",
    [
        {"project_name": "Ünï 🚀 \"quoted\" \\ ''' {{ x }}"},
        {"author_email": "first.last+tag@mail.example.co.uk"},
        {"domain_name": "intranet"},
        {"domain_name": "xn--bcher-kva.example"},
        {"time_zone": "America/Argentina/Buenos_Aires"},
        {"project_slug": "a" * 50},
    ],
)
def test_unusual_good_answer_is_accepted(answers):
    assert load("pre_gen_project").find_problems(GOOD | answers) == []


def test_every_row_of_the_table_names_a_real_path_and_a_real_answer():
    for path, question, answers in load("post_gen_project").OWNED_PATHS:
        assert (PROJECT_TEMPLATE / path).exists(), f"{path} does not exist"
        for answer in answers.split(","):
            assert answer in CHOICES[question], f"{question} has no answer {answer}"


def test_listed_path_stays_if_any_row_was_answered_so():
    find_unchosen = load("post_gen_project").find_unchosen
    path, no_disk = "data", DEFAULTS | {"database": "mysql", "media_storage": "s3"}
    assert path in find_unchosen(no_disk)
    assert path not in find_unchosen(no_disk | {"database": "sqlite"})
    assert path not in find_unchosen(no_disk | {"media_storage": "filesystem"})


def test_secrets_are_filled_in_only_where_they_are_left_empty():
    fill_secrets = load("post_gen_project").fill_secrets
    example = "DJANGO_SECRET_KEY=\n# AWS_SECRET_ACCESS_KEY=\n"
    example += "POSTGRES_PASSWORD=\nPORT=\n"
    first, second = fill_secrets(example), fill_secrets(example)
    assert first != second
    lines = first.splitlines()
    assert [len(line.partition("=")[2]) for line in lines] == [64, 0, 64, 0]
    assert lines[1] == "# AWS_SECRET_ACCESS_KEY="


def test_env_is_readable_by_its_owner_alone_and_never_overwritten(tmp_path):
    write_env = load("post_gen_project").write_env
    (tmp_path / ".env.example").write_text("DJANGO_SECRET_KEY=\n")
    write_env(tmp_path)
    written = (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_env(tmp_path)
    assert (tmp_path / ".env").read_text() == written


def test_optional_step_that_fails_only_warns(tmp_path):
    (tmp_path / "no_such_git").mkdir()
    hook = (TEMPLATE / "hooks" / "post_gen_project.py").read_text(encoding="utf-8")
    owned = [path for path, _, _ in load("post_gen_project").OWNED_PATHS]
    for path in sorted(owned, reverse=True):  # folders last
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    script = tmp_path / "hook.py"
    answers = str(DEFAULTS).replace("'", '"')
    rendered = hook.replace("{{ cookiecutter | tojson }}", answers)
    script.write_text(rendered, encoding="utf-8")
    # Both .env.example and git are missing.
    result = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0
    assert "warning: write_env failed" in result.stderr
    assert "Traceback" not in result.stderr
    assert "is ready" in result.stdout


def test_hooks_are_short_and_need_the_standard_library_alone():
    sources = [hook.read_text(encoding="utf-8") for hook in HOOKS]
    assert sum(len(source.splitlines()) for source in sources) <= 175
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def load(name):
    path = TEMPLATE / "hooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
