"""Guessing: five wrong passwords lock out, across instances and without the cache.

The lock is for this user at this address. Other addresses and other users can log in.
"""

from itertools import cycle

import pytest

from tests.drill import both_interfaces, only_wsgi, with_accounts
from tests.drill.browser import Browser
from tests.services import Redis

PASSWORD = "correct horse battery"
USERS = """
from apps.users.models import User
for name in ("ada", "grace", "alan", "joan"):
    User.objects.filter(username=name).delete()
    User.objects.create_superuser(name, password="correct horse battery")
"""
ADD_FACTOR = """
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from apps.users.models import User
secret = get_adapter().encrypt("JBSWY3DPEHPK3PXP")
for name in ("ada", "grace", "alan", "joan"):
    user = User.objects.get(username=name)
    Authenticator.objects.create(user=user, type="totp", data={"secret": secret})
"""


@both_interfaces
def test_guessing_is_locked_out(project, env, start, tmp_path, report):
    with Redis(tmp_path / "cache") as cache:
        report(drill(project, env | {"CACHE_URL": cache.url}, start, cache))


@with_accounts
def test_guessing_is_locked_out_at_the_pages_of_accounts_too(
    project, env, start, tmp_path, report
):
    with Redis(tmp_path / "cache") as cache:
        env |= {"CACHE_URL": cache.url}
        report(drill(project, env, start, cache))
        cache.start()
        report(drill_codes(project, env, start, cache))


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


def drill_codes(project, env: dict[str, str], start, cache: Redis) -> str:
    project.manage("shell", "--no-imports", "-c", USERS + ADD_FACTOR, env=env)
    first, second = start(project, env), start(project, env)
    guess_codes("ada", [first, second])
    guess_codes("grace", [first, second], meanwhile=cache.stop)
    # No limit in the cache refuses a passkey: this one is read, and leads back.
    passkey = {"to": "/accounts/2fa/webauthn/login/", "credential": '"none"'}
    assert Browser(first).submit("/accounts/login/", **passkey).status == 302
    return "429 for the fourth wrong code after a password: in turn, cache stopped"


def guess_codes(name: str, instances: list, meanwhile=lambda: None) -> None:
    """Log in, then guess codes at the instances in turn."""
    guesser = Browser(instances[0])
    assert guesser.log_in(name, PASSWORD) == 302
    answers = []
    for number, instance in zip(range(1, 5), cycle(instances)):
        guesser.instance = instance
        page = guesser.submit("/accounts/2fa/authenticate/", code=f"guess {number}")
        answers.append(page.status)
        if number == 2:
            meanwhile()
    assert answers == [200] * 3 + [429], f"{name} was not locked out: {answers}"
    for instance in instances:
        guesser = Browser(instance, guesser.address)
        assert guesser.log_in(name, PASSWORD) == 429, f"{name} was let in"
        elsewhere = Browser(instance).log_in(name, PASSWORD)
        assert elsewhere == 302, f"{name} was locked out at another address"


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
