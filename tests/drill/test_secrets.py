"""Secrets: sessions and links outlive a new key while the old one is a fallback.

They end with the fallback. No secret is in the log, on a page, in a header or in the
title of a process; tests/test_image.py checks the image.
"""

import json
import signal
from pathlib import Path
from secrets import token_hex, token_urlsafe
from urllib.parse import urlsplit

import pytest

from tests.drill import both_interfaces, only_wsgi
from tests.drill.browser import Browser
from tests.drill.conftest import ADMIN
from tests.drill.instances import descendants
from tests.services import Redis, wait_until

SIGN = """
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from apps.users.models import User
user, _ = User.objects.get_or_create(username="forgetful", defaults={"password": "!"})
print(signing.dumps("ada", salt="drill"), default_token_generator.make_token(user))
"""


@both_interfaces
def test_sessions_and_links_outlive_a_new_key(project, env, start, report):
    report(rotate(project, env, start))


@only_wsgi
def test_a_fallback_that_is_not_read_is_noticed(project, env, start, break_promise):
    fallbacks = 'env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])'
    broken = break_promise("config/settings/production.py", fallbacks, "[]")
    with pytest.raises(AssertionError, match="ended in spite of the fallback"):
        rotate(broken, env, start)


@both_interfaces
def test_no_secret_gets_out(
    project, env, start, start_worker, database, tmp_path, report
):
    with Redis(tmp_path / "cache", token_hex()) as cache:
        report(drill(project, env, start, start_worker, database, cache))


@only_wsgi
def test_a_query_string_in_the_log_is_noticed(
    project, env, start, start_worker, database, tmp_path, break_promise
):
    broken = break_promise(
        "core/logs.py", "mask_path(request)),", "request.get_full_path()),"
    )
    with (
        Redis(tmp_path / "cache", token_hex()) as cache,
        pytest.raises(AssertionError, match="the query string is in the log"),
    ):
        drill(broken, env, start, start_worker, database, cache)


def rotate(project, env: dict[str, str], start) -> str:
    old, new = token_urlsafe(48), token_urlsafe(48)
    with_old = env | {"DJANGO_SECRET_KEY": old}
    with_new = env | {"DJANGO_SECRET_KEY": new}
    signed = project.manage("shell", "--no-imports", "-c", SIGN, env=with_old)
    link, token = signed.stdout.split()
    paths = f"/drill/link/{link}/", f"/drill/reset/forgetful/{token}/"

    instance = start(project, with_old)
    visitor, absentee = Browser(instance), Browser(instance)
    assert (visitor.log_in(*ADMIN), absentee.log_in(*ADMIN)) == (302, 302)
    instance.stop()

    instance = start(project, with_new | {"DJANGO_SECRET_KEY_FALLBACKS": old})
    visitor.instance = absentee.instance = instance
    assert visitor.is_logged_in(), "the session ended in spite of the fallback"
    assert [instance.get(path).status for path in paths] == [200, 200]
    instance.stop()

    instance = start(project, with_new)
    visitor.instance = absentee.instance = instance
    assert not absentee.is_logged_in(), "the session outlived its key"
    assert [instance.get(path).status for path in paths] == [403, 403]
    # A visit during the fallback renewed the session under the new key.
    assert visitor.is_logged_in()
    kept = "session, signed link and reset token live with the fallback"
    return f"{kept}, and end without it"


def drill(
    project, env: dict[str, str], start, start_worker, database, cache: Redis
) -> str:
    secrets = {
        "the secret key": token_urlsafe(48),
        "the old secret key": token_urlsafe(48),
        "the database's password": urlsplit(env["DATABASE_URL"]).password,
        "the cache's password": cache.password,
        "the mail server's password": token_hex(),
        "the key of the DSN": token_hex(),
        "the query string": token_hex(),
        "the access token": token_hex(),
        "a guess": token_hex(),
    }
    env = env | {
        "DJANGO_SECRET_KEY": secrets["the secret key"],
        "DJANGO_SECRET_KEY_FALLBACKS": secrets["the old secret key"],
        "CACHE_URL": cache.url,
        "CELERY_BROKER_URL": f"{cache.url.removesuffix('0')}1",
        "EMAIL_URL": f"smtp://shop:{secrets["the mail server's password"]}@127.0.0.1:9",
        "SENTRY_DSN": f"http://{secrets['the key of the DSN']}@127.0.0.1:9/1",
        "DJANGO_LOG_LEVEL": "DEBUG",
    }
    instance, worker = start(project, env), start_worker(project, env)
    worker.wait_for(lambda: worker.log, 30, "the worker to start")
    pages = [
        *visit(instance, secrets),
        str(read_titles(instance.process.pid)),
        str(read_titles(worker.pid)),
    ]
    browser = Browser(instance)
    assert browser.log_in(*ADMIN) == 302
    pages.append(browser.get("/admin/users/user/").text)
    pages += visit_without(cache, instance)
    pages += visit_without(database, instance)
    instance.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "Hang up" in instance.process.log, 10, "the reload")
    assert instance.stop() == 0
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)

    for name, secret in secrets.items():
        leaks = [page for page in pages if secret in page]
        assert not leaks, f"{name} is on a page, in a header or in a title"
    secrets |= {"the administrator's password": ADMIN[1], **browser.cookies}
    lines = instance.process.log.splitlines() + worker.log.splitlines()
    for name, secret in secrets.items():
        assert not [line for line in lines if secret in line], f"{name} is in the log"
    places = f"{len(lines)} lines at DEBUG and {len(pages)} pages and titles"
    return f"{len(secrets)} secrets looked for in {places}: none"


def visit(instance, secrets: dict[str, str]) -> list[str]:
    """Return the answers to a browser, an API client and an attacker."""
    browser = Browser(instance)
    query = f"token={secrets['the query string']}"
    bearer = f"Bearer {secrets['the access token']}"
    guess = {"username": "root", "password": secrets["a guess"]}
    broken_form = guess | {"csrfmiddlewaretoken": "x"}
    answers = [
        browser.get("/"),
        browser.get(f"/missing/?{query}"),
        browser.get(f"/drill/error/?{query}"),
        browser.get("/api/docs/"),
        browser.get(f"/drill/row/?{query}"),
        browser.get(f"//evil.test/?{query}"),
        browser.get(f"/?{query}", Host="evil.test"),
        browser.get("/api/v1/users/me/", Authorization=bearer),
        browser.submit("/admin/login/", **guess),
        browser.submit(f"/admin/login/?next=/?{query}", **broken_form),
    ]
    assert {answer.status for answer in answers} >= {200, 400, 401, 403, 404, 500}
    # An answer may repeat the query string of its own request.
    return [page(answer).replace(query, "") for answer in answers]


def visit_without(service, instance) -> list[str]:
    """Return the answers while a server is down."""
    service.stop()
    try:
        return [
            page(instance.get(path))
            for path in ("/", "/admin/login/", "/drill/row/", "/health/ready/")
        ]
    finally:
        service.start()


def page(answer) -> str:
    return f"{json.dumps(answer.headers.items())}\n{answer.text}"


def read_titles(pid: int) -> list[str]:
    """Return the command lines of a process and its descendants, as `ps` shows them."""
    processes = (pid, *descendants(pid))
    return [Path(f"/proc/{process}/cmdline").read_text() for process in processes]
