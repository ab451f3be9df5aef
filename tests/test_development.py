"""Development is like production: it streams, and heeds what .env says."""

import time
import urllib.request
from contextlib import suppress

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.bakery import Project, production_environment
from tests.services.process import wait_until
from tests.serving import Server, develop, serve

# Each event carries the time at which it was sent.
EVENTS = """
import asyncio
import time

from django.http import StreamingHttpResponse


async def send_events():
    for _ in range(3):
        yield f"data: {time.monotonic()}\\n\\n"
        await asyncio.sleep(1)


async def events(request):
    return StreamingHttpResponse(send_events(), content_type="text/event-stream")


urlpatterns.append(path("events/", events))
"""
USE_ALL = """
from django.conf import settings
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import send_mail
from django.db import connection
from django_redis import get_redis_connection
send_mail("From development", "", None, ["ada@shop.test"])
cache.set("from", "development")
name = default_storage.save("note.txt", ContentFile(b"kept"))
print(default_storage.open(name).read(), get_redis_connection().dbsize() > 0)
print("box.lan" in settings.ALLOWED_HOSTS, ".localhost" in settings.ALLOWED_HOSTS)
with connection.cursor() as cursor:
    cursor.execute("SELECT version()")
print(settings.DEBUG)
"""

pytestmark = pytest.mark.xdist_group("development")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp("development"), interface="asgi")
    project.sync()
    return project


@pytest.fixture
def streaming(project, tmp_path) -> Project:
    copy = project.copy(tmp_path)
    with (copy.path / "apps" / "pages" / "urls.py").open("a") as urls:
        urls.write(EVENTS)
    return copy


def test_events_arrive_one_by_one_in_development(streaming):
    with develop(streaming) as server:
        assert_events_arrive_one_by_one(server)


def test_events_arrive_one_by_one_in_production(streaming, services, tmp_path):
    env = production_environment(streaming.answers, services)
    streaming.manage("collectstatic", "--noinput", env=env)
    with serve(streaming, env, tmp_path) as server:
        assert_events_arrive_one_by_one(server)


def assert_events_arrive_one_by_one(server: Server) -> None:
    """Each event arrives before the next one is sent."""
    request = urllib.request.Request(server.url + "/events/", headers=server.headers)
    with server.opener.open(request, timeout=10) as response:
        lines = [
            (float(line.removeprefix(b"data: ")), time.monotonic())
            for line in response
            if line.startswith(b"data: ")
        ]
    sent, arrived = zip(*lines, strict=True)
    assert len(sent) == 3
    assert arrived[0] < sent[1]
    assert arrived[1] < sent[2]


def test_development_heeds_dotenv(project, services, tmp_path):
    sent = len(services.smtp.messages)
    env = production_environment(project.answers, services)
    kept = ("AWS_", "CACHE_URL", "DATABASE_URL")
    lines = [f"{name}={env[name]}" for name in env if name.startswith(kept)]
    lines += ["DJANGO_ALLOWED_HOSTS=box.lan", "DJANGO_LOG_LEVEL=debug"]
    lines += [f"EMAIL_URL=smtp://127.0.0.1:{services.smtp.port}"]
    copy = project.copy(tmp_path)
    with (copy.path / ".env").open("a") as dotenv:
        dotenv.write("\n".join(lines))
    result = copy.manage("shell", "--no-imports", "--command", USE_ALL)
    assert result.stdout.split() == ["b'kept'", *["True"] * 4]
    assert "SELECT version()" in result.stderr
    assert len(services.smtp.messages) == sent + 1
    # It changes no result of the project's tests.
    tests = copy.execute("python", "-m", "pytest", "-q", "tests/test_pages.py")
    assert "passed" in tests.stdout


def test_an_inline_style_is_blocked_where_it_is_written(project, page, tmp_path):
    copy = project.copy(tmp_path)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    with develop(copy) as server:
        page.goto(server.url)
        assert not messages
        copy.replace("templates/home.html", "<h1", '<h1 style="color: red"')

        def reloaded() -> object:
            # A page that has no answer of the server yet takes no notice: save again.
            (copy.path / "templates" / "home.html").touch()
            with suppress(PlaywrightTimeoutError):
                return page.wait_for_selector("h1[style]", timeout=10_000)
            return None

        wait_until(reloaded, 60, "the browser to reload by itself")
    assert any("inline style" in message for message in messages)
