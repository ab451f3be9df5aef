"""The pages of accounts: a person's way through each, behind the real proxy."""

import base64
import json
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Page

from tests.bakery import Project, production_environment
from tests.browsing import Visit
from tests.drill.browser import Browser
from tests.drill.instances import Instance
from tests.services import SMTP, Caddy, OpenIDProvider
from tests.serving import serve

ROWS = {
    "asgi": {"interface": "asgi", "login": "email"},
    "wsgi": {"interface": "wsgi", "login": "username"},
}
BOTH = {"accounts": "allauth", "database": "sqlite", "media_storage": "filesystem"}


def projects(*names: str):
    params = []
    for name in names:
        marks = [pytest.mark.xdist_group(f"accounts {name}")]
        marks += [pytest.mark.long] if name == "wsgi" else []
        params.append(pytest.param(BOTH | ROWS[name], id=name, marks=marks))
    return pytest.mark.parametrize("project", params, indirect=True, scope="module")


every_interface = projects(*ROWS)

ADA, BOB = "ada@shop.test", "bob@shop.test"
GRACE, ROOT = "grace@shop.test", "root@shop.test"
PASSWORD, NEW_PASSWORD = "correct horse battery", "another horse battery"
# Answers that are not a page: redirects, a file, JSON, and ways that are switched off.
NO_PAGES = {
    "account_confirm_login_code",
    "mfa_download_recovery_codes",
    "mfa_login_webauthn",
    "openid_connect_callback",
}
MAKE_USERS = """
import sys
from apps.users.models import User
for address in sys.argv[1].split():
    names = {User.USERNAME_FIELD: address.split("@")[0], "email": address}
    is_root = {"is_staff": "root" in address, "is_superuser": "root" in address}
    User.objects.create_user(**names, **is_root, password="correct horse battery")
"""
UNCONFIRM = """
from allauth.account.models import EmailAddress
bob = User.objects.get(email="bob@shop.test")
EmailAddress.objects.create(user=bob, email=bob.email, primary=True)
"""
EXPIRED = """
import sys, time
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
now = time.time()
time.time = lambda: now - 4 * 24 * 3600
print(EmailConfirmationHMAC(EmailAddress.objects.get(email=sys.argv[1])).key)
"""
NAMES = """
import json, sys
from django.urls import get_resolver, resolve
def walk(patterns, start=""):
    for pattern in patterns:
        path = start + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from walk(pattern.url_patterns, path)
        elif path.startswith("accounts/") and pattern.name:
            yield pattern.name
seen = {resolve(path).url_name for path in sys.argv[1].split()}
print(json.dumps(sorted(set(walk(get_resolver().url_patterns)) - seen)))
"""


def name(address: str, by_email: bool) -> str:
    return address if by_email else address.split("@")[0]


def fill_sign_up(address: str, by_email: bool) -> dict[str, str]:
    own = {} if by_email else {"username": f"{name(address, by_email)}-again"}
    return {"email": address, "password1": PASSWORD} | own


# The forms that must not tell who has an account.
FORMS = {
    "/accounts/login/": lambda address, by_email: {
        "login": name(address, by_email),
        "password": "a guess",
    },
    "/accounts/signup/": fill_sign_up,
    "/accounts/password/reset/": lambda address, by_email: {"email": address},
}


@dataclass
class Person:
    """Somebody at a browser, with a mailbox; axe looks at each page once."""

    visit: Visit
    site: str
    axe: str
    mails: SMTP
    by_email: bool
    looks: int = 0

    def __post_init__(self) -> None:
        self.page = self.visit.page
        self.seen: set[tuple[str, str]] = set()

    def open(self, name: str, path: str, status: int = 200) -> str:
        """Open a page, let axe look, and return its text."""
        self.visit.open(name, self.site + path, status)
        return self.look()

    def send(
        self, page: str, button: str = "main .button", status: int = 200, **fields: str
    ) -> str:
        """Fill in the form, press the button, and return the text of the next page."""
        for field, value in fields.items():
            self.page.fill(f"main #id_{field}", value)
        self.visit.send(page, button, status)
        return self.look()

    def look(self) -> str:
        path = urlsplit(self.page.url).path
        is_new = (self.visit.name, path) not in self.seen
        self.looks += self.visit.look(self.axe) if is_new else 0
        self.seen.add((self.visit.name, path))
        return self.page.inner_text("body")

    def log_in(self, address: str, password: str = PASSWORD) -> str:
        self.open("log-in", "/accounts/login/")
        login = name(address, self.by_email)
        return self.send("logged in", login=login, password=password)

    def log_out(self) -> None:
        self.open("log-out", "/accounts/logout/")
        self.send("logged out")

    def read_link(self, address: str) -> str:
        """Return the path of the link in the newest mail to an address."""
        return re.search(rf"{self.site}(/\S+)", self.read_mail(address))[1]

    def read_mail(self, address: str) -> str:
        mails = [mail for mail in self.mails.messages if address in mail["To"]]
        return mails[-1].get_content()


@contextmanager
def visit_site(project, env, services, page, axe, tmp_path) -> Iterator[Person]:
    """Serve a project behind Caddy; fail if the browser or axe complained."""
    visit = Visit(page)
    with serve(project, env, tmp_path) as server:
        port = urlsplit(server.url).port
        with Caddy(tmp_path / "caddy", project.path, port) as caddy:
            by_email = project.answers["login"] == "email"
            yield Person(visit, caddy.url, axe, services.smtp, by_email)
    assert not visit.complaints, "\n".join(visit.complaints)


@pytest.fixture
def env(project: Project, services) -> dict[str, str]:
    """Return the environment of a new database with a superuser."""
    env = production_environment(project.answers, services)
    env["EMAIL_URL"] = f"smtp://127.0.0.1:{services.smtp.port}"
    env["DJANGO_ACCOUNT_SIGNUP_OPEN"] = "true"
    (project.path / "data" / "db.sqlite3").unlink(missing_ok=True)
    project.manage("migrate", env=env)
    project.manage("collectstatic", "--noinput", env=env)
    run_code(project, env, MAKE_USERS, ROOT)
    return env


@every_interface
def test_a_person_gets_through_every_page(
    project, env, services, page, axe, tmp_path, record_property
):
    with OpenIDProvider(tmp_path / "provider") as provider:
        env |= {
            "OPENID_CONNECT_ISSUER": provider.url,
            "OPENID_CONNECT_CLIENT_ID": "shop",
            "OPENID_CONNECT_CLIENT_SECRET": "secret",
        }
        with visit_site(project, env, services, page, axe, tmp_path) as ada:
            sign_up(ada)
            codes = add_app(ada)
            add_passkey(ada)
            reset_password(ada, codes)
            end_other_sessions(ada, codes)
            see_the_rest(ada)
            use_provider(ada, provider)
            seen = " ".join(path for _, path in ada.seen if "/accounts/" in path)
            unseen = json.loads(run_code(project, env, NAMES, seen))
    assert set(unseen) == NO_PAGES
    figure = f"{ada.looks} looks at {len(ada.seen)} pages of accounts: 0 barriers"
    record_property("figure", f"{project.answers['interface']}: {figure}")


@pytest.mark.long
@every_interface
def test_who_is_stuck_reads_what_to_do(project, env, services, page, axe, tmp_path):
    env |= {"DJANGO_ACCOUNT_SIGNUP_OPEN": "false"}
    run_code(project, env, MAKE_USERS + UNCONFIRM, f"{ADA} {BOB}")
    with visit_site(project, env, services, page, axe, tmp_path) as person:
        closed = person.open("closed sign-up", "/accounts/signup/")
        assert "ask the people who run this site" in closed
        confirm_late(person, run_code(project, env, EXPIRED, BOB).strip())
        codes = reach_the_admin(person)
        lose_the_device(person, codes)
        use_two_tabs(person)


@pytest.mark.long
@every_interface
def test_the_time_tells_nobody_who_has_an_account(
    project, env, tmp_path, record_property
):
    numbers = range(20)
    run_code(project, env, MAKE_USERS, " ".join(f"known{n}@shop.test" for n in numbers))
    by_email = project.answers["login"] == "email"
    instance = Instance(project, env, tmp_path)
    instance.start()
    try:
        for path, make_form in FORMS.items():
            ratios = []
            for number in numbers:
                seconds = {}
                # Each goes first in turn.
                for kind in ("known", "new") if number % 2 else ("new", "known"):
                    form = make_form(f"{kind}{number}@shop.test", by_email)
                    browser = Browser(instance)
                    assert browser.submit(path, **form).status in (200, 302)
                    seconds[kind] = browser.seconds
                ratios.append(seconds["known"] / seconds["new"])
            ratio = statistics.median(ratios)
            assert 0.8 < ratio < 1.25, f"{path}: {ratios}"
            figure = f"{path}: a known address takes {ratio:.2f} of an unknown one's"
            record_property("figure", f"{project.answers['interface']}: {figure}")
    finally:
        instance.stop()


def sign_up(ada: Person) -> None:
    ada.open("home", "/")
    ada.visit.send("sign-up", "header a[href$='/signup/']")
    ada.look()
    fields = {"email": ADA, "password1": PASSWORD}
    if not ada.by_email:
        fields["username"] = "ada"
    assert "follow the link" in ada.send("sent", **fields).lower()
    ada.open("confirm", ada.read_link(ADA))
    assert "You have confirmed" in ada.send("confirmed")
    assert "Successfully signed in" in ada.log_in(ADA)


def add_app(ada: Person) -> list[str]:
    """Add an authenticator app; log in by a recovery code; return those left."""
    ada.open("factors", "/accounts/2fa/")
    ada.open("confirm it is you", "/accounts/2fa/totp/activate/")
    ada.send("activate", password=PASSWORD)
    secret = ada.page.input_value("#authenticator_secret")
    ada.send("codes", code=make_code(secret))
    codes = ada.page.input_value("#recovery_codes").split()
    assert len(codes) == 10
    ada.log_out()
    assert "Two-Factor" in ada.log_in(ADA)
    ada.send("in by recovery code", code=codes[0])
    ada.open("reauthenticate by a code", "/accounts/2fa/reauthenticate/")
    ada.send("reauthenticated", code=make_code(secret, 1))
    ada.open("no app", "/accounts/2fa/totp/deactivate/")
    ada.open("new codes", "/accounts/2fa/recovery-codes/generate/")
    return codes[1:]


def add_passkey(ada: Person) -> None:
    add_authenticator(ada.page)
    ada.open("no keys", "/accounts/2fa/webauthn/")
    ada.open("add a key", "/accounts/2fa/webauthn/add/")
    ada.page.fill("#id_name", "Laptop")
    ada.page.check("#id_passwordless")
    ada.send("key added", "#mfa_webauthn_add")
    ada.open("keys", "/accounts/2fa/webauthn/")
    edit = ada.page.get_attribute("main td a[href$='/edit/']", "href")
    ada.open("edit a key", edit)
    ada.send("key edited", name="Old laptop")
    ada.open("remove a key", edit.replace("edit", "remove"))
    ada.open("reauthenticate by key", "/accounts/2fa/webauthn/reauthenticate/")
    ada.send("reauthenticated by key")
    ada.log_out()
    ada.open("log-in", "/accounts/login/")
    ada.send("in by passkey", "#passkey_login")
    assert ada.page.url == f"{ada.site}/"


def reset_password(ada: Person, codes: list[str]) -> None:
    ada.log_out()
    ada.open("reset", "/accounts/password/reset/")
    ada.send("reset is on its way", email=ADA)
    ada.open("new password", ada.read_link(ADA))
    ada.send("password is set", password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    assert "Two-Factor" in ada.log_in(ADA, NEW_PASSWORD)
    ada.send("in", code=codes.pop())


def end_other_sessions(ada: Person, codes: list[str]) -> None:
    context = ada.page.context.browser.new_context(ignore_https_errors=True)
    phone = Person(
        Visit(context.new_page()), ada.site, ada.axe, ada.mails, ada.by_email
    )
    phone.log_in(ADA, NEW_PASSWORD)
    phone.send("in on a phone", code=codes.pop())
    ada.open("sessions", "/accounts/sessions/")
    assert ada.page.locator("main tbody tr").count() == 2
    ada.send("other sessions ended")
    assert ada.page.locator("main tbody tr").count() == 1
    phone.open("out", "/accounts/email/")
    assert phone.page.url.startswith(f"{ada.site}/accounts/login/")
    ada.visit.complaints += phone.visit.complaints
    context.close()


def see_the_rest(ada: Person) -> None:
    ada.open("change the password", "/accounts/password/change/")
    ada.send(
        "changed", oldpassword=NEW_PASSWORD, password1=PASSWORD, password2=PASSWORD
    )
    ada.open("addresses", "/accounts/email/")
    ada.send("confirm it is you", "[name=action_add]", email="ada@work.test")
    ada.send("another address", password=PASSWORD)
    ada.open("confirm another", ada.read_link("ada@work.test"))
    ada.send("another is confirmed")
    ada.open("inactive", "/accounts/inactive/")


def use_provider(ada: Person, provider: OpenIDProvider) -> None:
    """Sign up by a provider, set a password, and see what is connected."""
    ada.log_out()
    ada.open("cancelled", "/accounts/3rdparty/login/cancelled/")
    ada.open("failed", "/accounts/3rdparty/login/error/", status=401)
    enter_by(provider, ada)
    fields = {"email": GRACE} | ({} if ada.by_email else {"username": "grace"})
    ada.send("sent", **fields)
    ada.open("confirm", ada.read_link(GRACE))
    ada.send("confirmed")
    enter_by(provider, ada)
    ada.open("code by mail", "/accounts/password/change/")
    ada.send("code is sent")
    code = re.search(r"^[A-Z0-9-]{6,}$", ada.read_mail(GRACE), re.MULTILINE)[0]
    ada.send("first password", code=code)
    assert ada.page.url.endswith("/accounts/password/set/")
    ada.open("connections", "/accounts/3rdparty/")


def enter_by(provider: OpenIDProvider, ada: Person) -> None:
    ada.open("log-in", "/accounts/login/")
    ada.send("by a provider", "text=Single sign-on")
    complaints = len(ada.visit.complaints)
    with ada.page.expect_navigation(url=f"{provider.url}/**"):
        ada.page.click("main .button")
    ada.page.fill("[name=sub]", "grace")
    with ada.page.expect_navigation(url=f"{ada.site}/**", wait_until="networkidle"):
        ada.page.click("button")
    del ada.visit.complaints[complaints:]  # about the provider's own page
    ada.look()


def confirm_late(bob: Person, expired_key: str) -> None:
    """Come with an expired link, get another one, and use it twice."""
    assert "expired" in bob.open("expired", f"/accounts/confirm-email/{expired_key}/")
    bob.visit.send("to the log-in", "main p a")
    assert "follow the link" in bob.log_in(BOB).lower()
    link = bob.read_link(BOB)
    bob.open("confirm", link)
    assert "You have confirmed" in bob.send("confirmed")
    assert "expired" in bob.open("used link", link)
    bob.log_in(BOB)
    assert bob.page.url == f"{bob.site}/"
    bob.log_out()


def reach_the_admin(root: Person) -> list[str]:
    """Open the admin without a factor, add one, and get in; return recovery codes."""
    root.log_in(ROOT)
    assert "Set one up" in root.open("admin without a factor", "/admin/")
    root.open("confirm it is you", "/accounts/2fa/totp/activate/")
    root.send("activate", password=PASSWORD)
    secret = root.page.input_value("#authenticator_secret")
    root.send("codes", code=make_code(secret))
    codes = root.page.input_value("#recovery_codes").split()
    root.visit.open("admin", f"{root.site}/admin/")
    assert root.page.url.startswith(f"{root.site}/accounts/2fa/reauthenticate/")
    root.page.fill("#id_code", make_code(secret, 1))
    root.visit.send("admin", "main .button")
    assert root.page.url == f"{root.site}/admin/"
    root.log_out()
    return codes


def lose_the_device(root: Person, codes: list[str]) -> None:
    for code in (codes[0], codes[1]):
        text = root.log_in(ROOT)
        assert "recovery codes" in text
        assert "ask the people who run this site" in text
        root.send("in", code=code)
        assert root.page.url == f"{root.site}/"
        root.log_out()
    root.log_in(ROOT)
    text = root.send("used recovery code", code=codes[0])
    assert "Incorrect code" in text
    assert "works once" in text
    root.open("reset by a used link", "/accounts/password/reset/")
    root.send("sent", email=ROOT)
    link = root.read_link(ROOT)
    root.open("new password", link)
    root.send("set", password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    assert "request a new password reset" in root.open("used link", link)


def use_two_tabs(ada: Person) -> None:
    context = ada.page.context.browser.new_context(ignore_https_errors=True)
    one, other = (replace(ada, visit=Visit(context.new_page())) for _ in range(2))
    other.open("log-in", "/accounts/login/")
    one.log_in(ADA)
    login = {"login": name(ADA, ada.by_email), "password": PASSWORD}
    assert "reload the page" in other.send("old form", status=403, **login)
    other.open("again", "/accounts/login/")
    assert other.page.url == f"{ada.site}/"
    one.open("form", "/accounts/password/change/")
    other.log_out()
    words = dict.fromkeys(("oldpassword", "password1", "password2"), PASSWORD)
    one.send("logged out elsewhere", **words)
    assert one.page.url.startswith(f"{ada.site}/accounts/login/?next=")
    ada.visit.complaints += one.visit.complaints + other.visit.complaints
    context.close()


def add_authenticator(page: Page) -> None:
    """Put a device for passkeys into the browser."""
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": device})


def make_code(secret: str, steps: int = 0) -> str:
    """Return the code that an app shows now, or some steps of 30 s later."""
    key = base64.b32decode(secret)
    return TOTP(key, 6, SHA1(), 30).generate(time.time() + 30 * steps).decode()  # noqa: S303


def run_code(project: Project, env: dict[str, str], code: str, *arguments: str) -> str:
    python = f"import sys; sys.argv = ['-', *{list(arguments)!r}]\n{code}"
    return project.manage("shell", "--no-imports", "--command", python, env=env).stdout
