"""config/env.py: values are read strictly, and a problem never shows a value."""

import pytest
from config.env import DATABASE_SCHEMES, Env

# postgresql or mysql, and its other names.
SCHEME, *ALIASES, _ = DATABASE_SCHEMES
MALFORMED_URL = f"must begin with {SCHEME}://"


@pytest.fixture
def env():
    return Env()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "is missing"),
        (" \n", "is missing"),
        ("change-me", "still holds a placeholder"),
        ("<your key>", "still holds a placeholder"),
    ],
)
def test_a_variable_without_a_default_is_required(env, monkeypatch, text, problem):
    if text is not None:
        monkeypatch.setenv("NAME", text)
    assert env.str("NAME") == ""
    assert env.problems == {"NAME": problem}


@pytest.mark.parametrize("text", [None, "", " "])
def test_an_empty_variable_has_its_default(env, monkeypatch, text):
    if text is not None:
        monkeypatch.setenv("NAME", text)
    assert env.str("NAME", default="default") == "default"
    assert env.bool("NAME", default=True) is True
    assert env.int("NAME", default=5) == 5
    assert env.list("NAME", default=["a"]) == ["a"]
    assert env.problems == {}


def test_a_value_may_come_from_a_file(env, monkeypatch, tmp_path):
    (tmp_path / "name").write_text("  from a file\n")
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "name"))
    assert env.str("NAME") == "from a file"
    monkeypatch.setenv("NAME", "a value")
    env.str("NAME")
    assert env.problems == {"NAME": "is set, and NAME_FILE too: keep one of them"}


def test_a_file_that_cannot_be_read_is_a_problem(env, monkeypatch, tmp_path):
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "missing"))
    assert env.str("NAME", default="default") == "default"
    assert env.problems["NAME"].startswith("cannot be read")


@pytest.mark.parametrize(
    ("text", "value"),
    [("On", True), ("1", True), ("yes", True), ("NO", False), ("0", False)],
)
def test_booleans(env, monkeypatch, text, value):
    monkeypatch.setenv("NAME", text)
    assert env.bool("NAME") is value


@pytest.mark.parametrize(
    ("reader", "text", "problem"),
    [
        ("bool", "maybe", "must be true or false"),
        ("int", "1.5", "must be a whole number"),
        ("count", "tcp://10.0.0.7:80", "must be a whole number; Kubernetes sets it"),
        ("float", "half", "must be a number"),
        ("json", "[1, 2", "is malformed"),
        ("count", "-1", "must be a whole number from 0 to 2147483648"),
        ("networks", "10.0.0.0/8, proxy.test", "must be addresses or networks"),
    ],
)
def test_malformed_values_are_problems(env, monkeypatch, reader, text, problem):
    monkeypatch.setenv("NAME", text)
    getattr(env, reader)("NAME", default={"count": 1, "networks": []}.get(reader, ""))
    assert env.problems["NAME"].startswith(problem)
    assert text not in env.problems["NAME"]


def test_values_of_every_type(env, monkeypatch):
    values = {"A": " 12 ", "B": "0.5", "C": " a.test, b.test ,,", "D": "$A", "E": "8"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert (env.int("A"), env.float("B")) == (12, 0.5)
    assert (env.list("C"), env.str("D")) == (["a.test", "b.test"], "$A")
    assert env("E", default=5) == 8


@pytest.mark.parametrize("scheme", [SCHEME, *ALIASES])
def test_a_database_url_is_read_with_its_password_decoded(env, monkeypatch, scheme):
    url = f"{scheme}://u:a%2Fb%23c%3F%40@db.test:1234/shop?option=value"
    monkeypatch.setenv("DATABASE_URL", url)
    database = env.db_url("DATABASE_URL")
    assert database["ENGINE"] == f"django.db.backends.{SCHEME}"
    assert (database["NAME"], database["PASSWORD"]) == ("shop", "a/b#c?@")
    assert database["OPTIONS"] == {"option": "value"}
    assert env.problems == {}


@pytest.mark.parametrize(
    "url",
    [
        "oracle://u:hunter2@db.test/shop",
        "hunter2",
        f"{SCHEME}://u:hunter2/x@db.test/shop",
        f"{SCHEME}://u:hunter2#x@db.test/shop",
        f"{SCHEME}://u:hunter2?x@db.test/shop",
        f"{SCHEME}://u:hunter2@db.test",
        f"{SCHEME}://u:hunter2@db.test:port/shop",
    ],
)
def test_the_problem_of_a_malformed_database_url_does_not_show_it(
    env, monkeypatch, url
):
    monkeypatch.setenv("DATABASE_URL", url)
    assert env.db_url("DATABASE_URL") == {}
    assert env.problems["DATABASE_URL"].startswith(MALFORMED_URL)
    assert "hunter2" not in env.problems["DATABASE_URL"]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("smtp://mail.test", {"port": 25}),
        ("smtp+tls://mail.test", {"port": 587, "use_tls": True}),
        ("smtp+ssl://mail.test:4650", {"port": 4650, "use_ssl": True}),
        (
            "smtp://me%40a:p%2F@mail.test",
            {"port": 25, "username": "me@a", "password": "p/"},
        ),
    ],
)
def test_mail_urls(env, monkeypatch, url, options):
    monkeypatch.setenv("EMAIL_URL", url)
    expected = {"timeout": 10, "host": "mail.test"} | options
    assert env.mailer("EMAIL_URL", default="")["OPTIONS"] == expected


@pytest.mark.parametrize(
    "url", ["https://mail.test", "smtp://", "smtp://mail.test:port", "smtp://[::1"]
)
def test_a_malformed_address_is_a_problem(env, monkeypatch, url):
    monkeypatch.setenv("EMAIL_URL", url)
    assert env.mailer("EMAIL_URL", default="") == {}
    assert env.problems["EMAIL_URL"].startswith("must be a URL that begins with smtp")


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("10.1.2.3/8, ::1", ["10.0.0.0/8", "::1/128"]),
        ("*", ["0.0.0.0/0", "::/0"]),
        ("", ["127.0.0.1/32"]),
    ],
)
def test_networks(env, monkeypatch, text, networks):
    monkeypatch.setenv("PROXIES", text)
    assert env.networks("PROXIES", default=["127.0.0.1"]) == networks


def test_one_report_names_every_problem_once(env):
    env.stop_on_problems()
    env.str("SECOND")
    env.require("FIRST", False, "is too short")
    env.require("FIRST", False, "is reported once")
    env.require("THIRD", True, "is fine")
    with pytest.raises(SystemExit) as stop:
        env.stop_on_problems()
    lines = str(stop.value).splitlines()
    assert lines[1:-1] == ["  - FIRST is too short", "  - SECOND is missing"]
