"""Guessing: five wrong passwords lock out, across instances and without the cache.

The lock is for this user at this address. Other addresses and other users can log in.
"""

from itertools import cycle

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.browser import Browser
from tests.services import Redis

PASSWORD = "correct horse battery"
USERS = """
from apps.users.models import User
for name in ("ada", "grace", "alan", "joan"):
    User.objects.filter(username=name).delete()
    User.objects.create_superuser(name, password="correct horse battery")
"""


@both_interfaces
def test_guessing_is_locked_out(project, env, start, tmp_path, report):
    with Redis(tmp_path / "cache") as cache:
        report(drill(project, env | {"CACHE_URL": cache.url}, start, cache))


@only_wsgi
def test_attempts_that_the_cache_counts_are_noticed(
    project, env, start, tmp_path, break_promise
):
    ours, other = (
        "core.guessing.GuessingHandler",
        "axes.handlers.cache.AxesCacheHandler",
    )
    broken = break_promise("config/settings/base.py", ours, other)
    with (
        Redis(tmp_path / "cache") as cache,
        pytest.raises(AssertionError, match="alan was not locked out"),
    ):
        drill(broken, env | {"CACHE_URL": cache.url}, start, cache)


def drill(project, env: dict[str, str], start, cache: Redis) -> str:
    project.manage("shell", "--no-imports", "-c", USERS, env=env)
    first, second = start(project, env), start(project, env)
    guess("ada", [first])
    guess("grace", [first, second])
    guess("alan", [first, second], meanwhile=cache.stop)
    assert Browser(second).log_in("joan", PASSWORD) == 302
    places = "at one instance, at two in turn, with the cache stopped on the way"
    return f"429 for the fifth: {places}"


def guess(name: str, instances: list, meanwhile=lambda: None) -> None:
    """Guess at the instances in turn; call ``meanwhile`` after two guesses."""
    guesser = Browser(instances[0])
    answers = []
    for number, instance in zip(range(1, 6), cycle(instances)):
        guesser.instance = instance
        answers.append(guesser.log_in(name, f"guess {number}"))
        if number == 2:
            meanwhile()
    assert answers == [200] * 4 + [429], f"{name} was not locked out: {answers}"
    for instance in instances:
        guesser.instance = instance
        assert guesser.log_in(name, PASSWORD) == 429, f"{name} was let in"
        elsewhere = Browser(instance).log_in(name, PASSWORD)
        assert elsewhere == 302, f"{name} was locked out at another address"
