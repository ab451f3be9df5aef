"""Content policy: every kind of page in a real browser.

Nothing is blocked, and the console stays empty. A document that is itself an answer of 4xx or 5xx makes the browser say
so there; that line alone is disregarded, and only if it names the document.
"""

import re
from dataclasses import dataclass, field
from secrets import token_hex

import pytest
from playwright.sync_api import ConsoleMessage, Page

from tests.drill import both_interfaces, only_wsgi
from tests.drill.conftest import ADMIN
from tests.services import Caddy

STATUS_OF_THE_DOCUMENT = re.compile(
    r"Failed to load resource: the server responded with a status of [45]\d\d \(.*\)"
)
# Before the page's own scripts: what the policy blocks is told on the console, with what it was.
LISTEN = """document.addEventListener("securitypolicyviolation",
    event => console.error("blocked", event.violatedDirective, event.blockedURI))"""


@both_interfaces
def test_pages_in_a_browser(project, env, start, page, report, tmp_path):
    with Caddy(tmp_path / "caddy", project.path, start(project, env).port) as caddy:
        report(drill(page, caddy.url))


@only_wsgi
def test_inline_style_is_noticed(project, env, start, page, break_promise, tmp_path):
    broken = break_promise(
        "templates/error.html",
        '<p class="lead">',
        '<p class="lead" style="color: red">',
    )
    with (
        Caddy(tmp_path / "caddy", project.path, start(broken, env).port) as caddy,
        pytest.raises(AssertionError, match=r"404: .* inline style"),
    ):
        drill(page, caddy.url)


@dataclass
class Visit:
    """Opens pages one after the other and keeps what the browser complains of, under the name of the page."""

    page: Page
    name: str = ""
    complaints: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complain(f"error {error}"))
        self.page.add_init_script(LISTEN)

    def hear(self, message: ConsoleMessage) -> None:
        is_document = (
            message.location["url"].partition("#")[0] == self.page.url.partition("#")[0]
        )
        if message.type in ("error", "warning") and not (
            is_document and STATUS_OF_THE_DOCUMENT.fullmatch(message.text)
        ):
            self.complain(message.text)

    def complain(self, text: str) -> None:
        self.complaints.append(f"{self.name}: {text}")

    def open(self, name: str, url: str, status: int = 200) -> None:
        self.name = name
        self.check(self.page.goto(url, wait_until="networkidle"), status)

    def send(self, name: str, button: str, status: int = 200) -> None:
        """Press a button that sends a form."""
        self.name = name
        with self.page.expect_navigation(wait_until="networkidle") as navigation:
            self.page.click(button)
        self.check(navigation.value, status)

    def check(self, response, status: int) -> None:
        assert response.status == status, f"{self.name} has status {response.status}"
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        # The API's page is drawn by its script. Not wait_for_function(), which is an eval() that the policy refuses.
        self.page.locator("body", has_text=re.compile(r"\S")).wait_for()
        self.seen.append(self.name)


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
    visit.open("change list", f"{site}/admin/users/user/")
    visit.open(
        "filtered change list", f"{site}/admin/users/user/?is_staff__exact=1&q=ro"
    )
    visit.open("add form", f"{site}/admin/users/user/add/")
    visit.open("change list", f"{site}/admin/users/user/")
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
    # A form that was open for too long: its token is gone.
    page.context.clear_cookies()
    visit.open("log-in", f"{site}/admin/login/")
    page.context.clear_cookies()
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    visit.send("CSRF failure", "[type=submit]", 403)
    visit.open("log-in", f"{site}/admin/login/")
    nobody = f"nobody-{token_hex(4)}"  # whom no other run has locked out
    for attempt in range(1, 6):
        page.fill("#id_username", nobody)
        page.fill("#id_password", "a guess")
        visit.send(
            f"wrong password {attempt}", "[type=submit]", 200 if attempt < 5 else 429
        )
    assert not visit.complaints, "\n".join(visit.complaints)
    return f"{len(visit.seen)} pages, 0 violations, 0 errors on the console"
