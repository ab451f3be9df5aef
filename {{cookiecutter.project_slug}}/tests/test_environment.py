"""The environment is read strictly, and everything wrong with it is told at once, without a value."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from config.env import Env

if TYPE_CHECKING:
    from conftest import RunPython

SCHEME = "{{ cookiecutter.database }}"
FORM = "must read scheme://user:password@host:port/name, special characters percent-encoded"


@pytest.fixture
def env() -> Env:
    return Env()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "is missing"),
        ("", "is missing"),
        (" \n", "is missing"),
        ("change-me", "still holds a placeholder"),
        ("<your key>", "still holds a placeholder"),
    ],
)
def test_a_variable_without_a_default_is_required(
    env: Env, monkeypatch: pytest.MonkeyPatch, text: str | None, problem: str
) -> None:
    if text is not None:
        monkeypatch.setenv("NAME", text)
    assert env.str("NAME") == ""
    assert env.problems == {"NAME": problem}


@pytest.mark.parametrize("text", [None, "", " "])
def test_an_empty_variable_has_its_default(env: Env, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    if text is not None:
        monkeypatch.setenv("NAME", text)
    assert env.str("NAME", default="default") == "default"
    assert env.bool("NAME", default=True) is True
    assert env.int("NAME", default=5) == 5
    assert env.list("NAME", default=["a"]) == ["a"]
    assert env.problems == {}


def test_a_default_gives_its_type(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "8")
    assert env("NAME", default=5) == 8


def test_a_value_may_come_from_a_file(env: Env, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "name").write_text("  from a file\n")
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "name"))
    assert env.str("NAME") == "from a file"
    assert env.problems == {}


def test_a_file_that_cannot_be_read_is_a_problem(env: Env, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "missing"))
    assert env.str("NAME", default="default") == "default"
    assert env.problems == {"NAME": "cannot be read from the file that NAME_FILE names"}


def test_a_value_and_a_file_are_one_too_many(env: Env, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "name").write_text("from a file")
    monkeypatch.setenv("NAME", "a value")
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "name"))
    env.str("NAME")
    assert env.problems == {"NAME": "is set, and NAME_FILE too: keep one of them"}


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("On", True), ("1", True), ("false", False), ("NO", False), ("0", False)]
)
def test_booleans(env: Env, monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("NAME", text)
    assert env.bool("NAME") is value
    assert env.problems == {}


@pytest.mark.parametrize(
    ("reader", "text", "problem"),
    [
        ("bool", "maybe", "must be true or false"),
        ("int", "1.5", "must be a whole number"),
        ("float", "half", "must be a number"),
        ("json", "[1, 2", "is malformed"),
    ],
)
def test_malformed_values_are_problems(
    env: Env, monkeypatch: pytest.MonkeyPatch, reader: str, text: str, problem: str
) -> None:
    monkeypatch.setenv("NAME", text)
    getattr(env, reader)("NAME")
    assert env.problems == {"NAME": problem}


def test_numbers_and_lists(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNT", " 12 ")
    monkeypatch.setenv("RATE", "0.5")
    monkeypatch.setenv("HOSTS", " a.test, b.test ,,")
    assert (env.int("COUNT"), env.float("RATE"), env.list("HOSTS")) == (12, 0.5, ["a.test", "b.test"])


def test_a_dollar_sign_stands_for_itself(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "of another variable")
    monkeypatch.setenv("NAME", "$OTHER")
    assert env.str("NAME") == "$OTHER"


@pytest.mark.parametrize(
    ("url", "engine", "name"),
    [
        # %if cookiecutter.database == "postgresql"
        ("postgresql://u:p@db.test:5432/shop", "postgresql", "shop"),
        ("postgres://u:p@db.test/shop", "postgresql", "shop"),
        ("postgresql+psycopg://u:p@db.test/shop", "postgresql", "shop"),
        # %endif
        # %if cookiecutter.database == "mysql"
        ("mysql://u:p@db.test:3306/shop", "mysql", "shop"),
        ("mariadb://u:p@db.test/shop", "mysql", "shop"),
        # %endif
        ("sqlite:////data/db.sqlite3", "sqlite3", "/data/db.sqlite3"),
        ("sqlite://:memory:", "sqlite3", ":memory:"),
    ],
)
def test_database_urls(env: Env, monkeypatch: pytest.MonkeyPatch, url: str, engine: str, name: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    database = env.db_url()
    assert (database["ENGINE"], database["NAME"]) == (f"django.db.backends.{engine}", name)
    assert env.problems == {}


# %if cookiecutter.database != "sqlite"
def test_a_password_in_a_database_url_is_percent_decoded(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{SCHEME}://u:a%2Fb%23c%3F%40@db.test/shop?option=value")
    database = env.db_url()
    assert (database["PASSWORD"], database["OPTIONS"]) == ("a/b#c?@", {"option": "value"})


# %endif
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("oracle://u:hunter2@db.test/shop", "must begin with one of "),
        ("hunter2", "must begin with one of "),
        (f"{SCHEME}://u:hunter2/x@db.test/shop", FORM),
        (f"{SCHEME}://u:hunter2#x@db.test/shop", FORM),
        (f"{SCHEME}://u:hunter2?x@db.test/shop", FORM),
        (f"{SCHEME}://u:hunter2@db.test", FORM),
        (f"{SCHEME}://u:hunter2@db.test:port/shop", FORM),
        ("sqlite://hunter2/db.sqlite3", FORM),
    ],
)
def test_a_malformed_database_url_is_a_problem_that_keeps_the_password(
    env: Env, monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert env.db_url() == {}
    assert env.problems["DATABASE_URL"].startswith(problem)
    assert "hunter2" not in env.problems["DATABASE_URL"]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("smtp://mail.test", {"host": "mail.test", "port": 25}),
        ("smtp+tls://mail.test", {"host": "mail.test", "port": 587, "use_tls": True}),
        ("smtp+ssl://mail.test:4650", {"host": "mail.test", "port": 4650, "use_ssl": True}),
        ("smtp://me%40a:p%2F@mail.test", {"host": "mail.test", "port": 25, "username": "me@a", "password": "p/"}),
    ],
)
def test_mail_urls(env: Env, monkeypatch: pytest.MonkeyPatch, url: str, options: dict[str, Any]) -> None:
    monkeypatch.setenv("EMAIL_URL", url)
    assert env.mailer("EMAIL_URL", default="smtp://localhost:25")["OPTIONS"] == {"timeout": 10} | options


@pytest.mark.parametrize("url", ["https://mail.test", "smtp://", "smtp://mail.test:port", "mail.test", "smtp://[::1"])
def test_a_malformed_address_is_a_problem(env: Env, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("EMAIL_URL", url)
    assert env.mailer("EMAIL_URL", default="smtp://localhost:25") == {}
    assert env.problems == {"EMAIL_URL": "must be a URL that begins with smtp:// or smtp+tls:// or smtp+ssl://"}


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("10.1.2.3/8, ::1", ["10.0.0.0/8", "::1/128"]),
        ("*", ["0.0.0.0/0", "::/0"]),
        ("", ["127.0.0.1/32"]),
    ],
)
def test_networks(env: Env, monkeypatch: pytest.MonkeyPatch, text: str, networks: list[str]) -> None:
    monkeypatch.setenv("PROXIES", text)
    assert env.networks("PROXIES", default=["127.0.0.1"]) == networks
    assert env.problems == {}


def test_malformed_networks_are_a_problem(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXIES", "10.0.0.0/8, proxy.test")
    assert env.networks("PROXIES", default=[]) == []
    assert env.problems == {"PROXIES": "must be addresses or networks such as 10.0.0.0/8, separated by commas"}


def test_one_report_names_every_problem(env: Env) -> None:
    env.stop_on_problems()
    env.str("SECOND")
    env.require("FIRST", False, "is too short")
    env.require("FIRST", False, "is told once")
    env.require("THIRD", True, "is fine")
    with pytest.raises(SystemExit) as stop:
        env.stop_on_problems()
    assert str(stop.value).splitlines()[1:3] == ["  - FIRST is too short", "  - SECOND is missing"]
    assert "THIRD" not in str(stop.value)


def test_production_does_not_start_on_an_unusable_environment(
    run_python: "RunPython", production_environ: dict[str, str]
) -> None:
    environ = {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DJANGO_SECRET_KEY": "hunter2",
        "DJANGO_SECURE_SSL_REDIRECT": "hunter2",
    }
    result = run_python("manage.py", "check", environ=environ)
    assert (result.returncode, result.stdout) == (1, "")
    for name in {*production_environ, "DJANGO_SECURE_SSL_REDIRECT"} - {"DATABASE_URL"}:
        assert f"- {name} " in result.stderr
    assert "hunter2" not in result.stderr
    assert "Traceback" not in result.stderr
