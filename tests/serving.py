"""Serve a project as production does, and send requests as its proxy does."""

import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from tests.bakery import Project, clean_environment
from tests.services import Process, free_port

# Celery prints these lines on SIGTERM and SIGHUP, after an empty one, without a logger.
CELERY_ON_A_SIGNAL = re.compile(
    r"|worker: Warm shutdown \(MainProcess\)|Restarting celery worker \(.*\)"
)


class Answer:
    def __init__(self, response) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


class KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


class Server:
    """A served project, asked as its proxy does: over HTTP, with the public host."""

    def __init__(self, process: Process, port: int, **headers: str) -> None:
        self.process = process
        self.headers = {"Host": "shop.test", "X-Forwarded-Proto": "https"} | headers
        self.url = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(KeepRedirects)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask(path, None, headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        return self.ask(path, urlencode(form).encode(), headers)

    def ask(self, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        request = urllib.request.Request(self.url + path, data, self.headers | headers)
        try:
            with self.opener.open(request, timeout=10) as response:
                return Answer(response)
        except urllib.error.HTTPError as error:
            return Answer(error)

    def is_live(self) -> bool:
        try:
            return self.get("/health/live/").status == 200
        except OSError:
            return False


@contextmanager
def serve(
    project: Project, env: dict[str, str], folder, *wrapper: str
) -> Iterator[Server]:
    """Start production's server; a wrapper is a command that ends by starting it."""
    port = free_port()
    environment = (
        clean_environment()
        | {"WEB_CONCURRENCY": "2", "PYTHONWARNINGS": "error::DeprecationWarning"}
        | env
        | {"HOST": "127.0.0.1", "PORT": str(port)}
    )
    process = Process(
        [*wrapper, project.path / ".venv" / "bin" / "python", "-m", "config.serve"],
        project.path,
        name="server",
        env=environment,
    )
    try:
        server = Server(process, port)
        process.wait_for(server.is_live, 20, "the server to answer")
        yield server
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.stop()


@contextmanager
def develop(project: Project, **headers: str) -> Iterator[Server]:
    """Start development with `just dev`."""
    port = free_port()
    address = f"--port={port}" if project.answers["interface"] == "asgi" else f"{port}"
    command = [project.path / ".venv" / "bin" / "just", "dev", address]
    env = clean_environment() | {"UV_PYTHON": project.python}
    with Process(command, project.path, name="dev", env=env) as process:
        server = Server(process, port, **{"Host": "localhost"} | headers)
        process.wait_for(server.is_live, 20, "the development server to answer")
        yield server
