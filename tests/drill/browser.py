"""A client that keeps cookies and fills in forms, behind the proxy."""

import itertools
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookies import SimpleCookie

from tests.drill.instances import PUBLIC, Instance
from tests.serving import Answer

_addresses = (f"198.51.100.{number}" for number in itertools.count(1))


class Browser:
    """A browser with its own address, which sends its requests to one instance."""

    def __init__(self, instance: Instance, address: str = "") -> None:
        self.instance = instance
        self.address = address or next(_addresses)
        self.cookies: dict[str, str] = {}
        self.seconds = 0.0  # that the last answer took

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask(path, None, headers)

    def submit(self, path: str, to: str = "", **fields: str) -> Answer:
        """Fill in the form of a page and send it to the same path, or to another."""
        page = self.get(path).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
        fields = {"csrfmiddlewaretoken": token} | fields
        return self._ask(to or path, fields, {"Origin": "https://shop.test"})

    def log_in(self, username: str, password: str) -> int:
        """Return 302 after a log-in, 200 for the form again, 429 for a lockout."""
        page, name = "/admin/login/", "username"
        if self.instance.project.answers["accounts"] != "none":
            page, name = "/accounts/login/", "login"
        return self.submit(page, **{name: username, "password": password}).status

    def is_logged_in(self) -> bool:
        return self.get("/admin/").status == 200

    def _ask(
        self, path: str, fields: dict[str, str] | None, headers: dict[str, str]
    ) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        mine = {"X-Forwarded-For": self.address, "Cookie": cookies}
        request = urllib.request.Request(
            self.instance.server.url + path,
            data=None if fields is None else urllib.parse.urlencode(fields).encode(),
            headers=PUBLIC | mine | headers,
        )
        start = time.perf_counter()
        try:
            with self.instance.server.opener.open(request, timeout=15) as response:
                answer = Answer(response)
        except urllib.error.HTTPError as error:
            answer = Answer(error)
        self.seconds = time.perf_counter() - start
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer
