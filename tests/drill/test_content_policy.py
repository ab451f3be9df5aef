"""Content policy: every kind of page in a real browser.

The policy blocks nothing, and the console stays empty. The browser writes a line to the
console for a document with status 4xx or 5xx; this line is ignored.
"""

from secrets import token_hex

import pytest
from playwright.sync_api import Page

from tests.browsing import Visit
from tests.drill import both_interfaces, only_wsgi
from tests.drill.conftest import ADMIN
from tests.services import Caddy


@both_interfaces
def test_pages_cause_no_violation_and_no_error(
    project, env, start, page, report, tmp_path
):
    with Caddy(tmp_path / "caddy", project.path, start(project, env).port) as caddy:
        report(drill(page, caddy.url))


@only_wsgi
def test_inline_style_is_noticed(project, env, start, page, break_promise, tmp_path):
    old, new = '<p class="lead">', '<p class="lead" style="color: red">'
    broken = break_promise("templates/error.html", old, new)
    with (
        Caddy(tmp_path / "caddy", project.path, start(broken, env).port) as caddy,
        pytest.raises(AssertionError, match=r"404: .* inline style"),
    ):
        drill(page, caddy.url)


def drill(page: Page, site: str) -> str:
    visit = Visit(page)
    user, password = ADMIN
    visit.open("landing page", site)
    visit.open("404", f"{site}/nowhere/", 404)
    visit.open("500", f"{site}/drill/error/", 500)
    visit.open("403", f"{site}/drill/forbidden/", 403)
    visit.open("400", f"{site}/drill/suspicious/", 400)
    visit.open("log-in", f"{site}/admin/")
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    visit.send("admin", "[type=submit]")
    users = f"{site}/admin/users/user/"
    visit.open("change list", users)
    visit.open("filtered change list", f"{users}?is_staff__exact=1&q=ro")
    visit.open("add form", f"{users}add/")
    visit.open("change list", users)
    page.click("#result_list tbody th a")
    visit.name = "change form"
    page.wait_for_load_state("networkidle")
    page.click(".datetimeshortcuts a >> nth=0")
    page.click(".clock-icon >> nth=0")
    page.press(".clockbox", "Escape")
    page.fill("#id_first_name", "Ada")
    visit.send("saved change form", "[name=_continue]")
    visit.open("history", page.url.replace("change/", "history/"))
    visit.open("API docs", f"{site}/api/docs/")
    page.click(".opblock-summary-control >> nth=0")
    page.wait_for_selector(".opblock-body")
    # A form that was open for too long has no valid token.
    page.context.clear_cookies()
    visit.open("log-in", f"{site}/admin/login/")
    page.context.clear_cookies()
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    visit.send("CSRF failure", "[type=submit]", 403)
    visit.open("log-in", f"{site}/admin/login/")
    nobody = f"nobody-{token_hex(4)}"  # no other run has locked this name out
    for attempt in range(1, 6):
        page.fill("#id_username", nobody)
        page.fill("#id_password", "a guess")
        status = 200 if attempt < 5 else 429
        visit.send(f"wrong password {attempt}", "[type=submit]", status)
    assert not visit.complaints, "\n".join(visit.complaints)
    return f"{len(visit.seen)} pages, 0 violations, 0 errors on the console"
