"""Visits to pages with a real browser, and what it complains about."""

import re
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page

STATUS_OF_THE_DOCUMENT = re.compile(
    r"Failed to load resource: the server responded with a status of [45]\d\d \(.*\)"
)
# Runs before the scripts of a page and writes what the policy blocks to the console.
LISTEN = """document.addEventListener("securitypolicyviolation",
    event => console.error("blocked", event.violatedDirective, event.blockedURI))"""

LOOKS = [("light", 1280), ("dark", 375)]


@dataclass
class Visit:
    """Opens pages one after the other, and keeps the complaints of the browser."""

    page: Page
    name: str = ""
    complaints: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complain(f"error {error}"))
        self.page.add_init_script(LISTEN)

    def hear(self, message: ConsoleMessage) -> None:
        source, document = message.location["url"], self.page.url
        is_document = source.partition("#")[0] == document.partition("#")[0]
        is_status = is_document and STATUS_OF_THE_DOCUMENT.fullmatch(message.text)
        if message.type in ("error", "warning") and not is_status:
            self.complain(message.text)

    def complain(self, text: str) -> None:
        self.complaints.append(f"{self.name}: {text}")

    def open(self, name: str, url: str, status: int = 200) -> None:
        self.name = name
        self.check(self.page.goto(url, wait_until="networkidle"), status)

    def send(self, name: str, button: str, status: int = 200) -> None:
        """Press the button of a form."""
        self.name = name
        with self.page.expect_navigation(wait_until="networkidle") as navigation:
            self.page.click(button)
        self.check(navigation.value, status)

    def check(self, response, status: int) -> None:
        assert response.status == status, f"{self.name} has status {response.status}"
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        # A script draws the API's page. The policy blocks the eval() of
        # wait_for_function().
        self.page.locator("body", has_text=re.compile(r"\S")).wait_for()
        self.seen.append(self.name)

    def look(self, axe: str) -> int:
        """Let axe look at the page: light and dark, wide and on a phone."""
        for scheme, width in LOOKS:
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self.page.set_viewport_size({"width": width, "height": 800})
            seen = f"{scheme}, {width} px"
            scroll = self.page.evaluate("document.documentElement.scrollWidth")
            assert scroll <= width, f"{self.name}, {seen}"
            self.page.evaluate(axe)
            for found in self.page.evaluate("axe.run()")["violations"]:
                nodes = [node["html"] for node in found["nodes"]]
                self.complain(f"{seen}: {found['impact']} {found['id']} {nodes}")
        return len(LOOKS)
