"""Fixtures: projects for given answers, and real servers that start on first use."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.bakery import Project, run
from tests.services import (
    GCS,
    S3,
    SMTP,
    Azure,
    MariaDB,
    Memcached,
    OTLPReceiver,
    PostgreSQL,
    RabbitMQ,
    Redis,
    SentrySink,
)
from tests.services.process import find_program

AXE = "axe-core@4.14.1"
# Of figures, by what the project of a drill has besides its interface.
PREFIXES = {
    "": "",
    "accounts": "pages of accounts: ",
    "mysql": "MariaDB: ",
    "sqlite": "SQLite: ",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` keeps each promise once; `make test-all` breaks them too."""
    for item in items:
        if "tests/drill/" in item.nodeid and "noticed" in item.name:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Bake a project once for each set of answers; tests must not change it."""
    kept: dict[frozenset, Project] = {}

    def keep(**answers: str) -> Project:
        key = frozenset(answers.items())
        if key not in kept:
            kept[key] = Project.bake(tmp_path_factory.mktemp("bake"), **answers)
        return kept[key]

    return keep


@pytest.fixture(scope="session")
def type_cache(tmp_path_factory):
    """Return one cache of mypy for all projects, because the libraries are the same."""
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Bake a project for the answers of the parameter, and make its environment."""
    project = Project.bake(tmp_path_factory.mktemp("project"), **request.param)
    project.sync()
    return project


class Services:
    """The real servers of a session; each starts on first use."""

    bucket = "uploads"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack

    def start(self, service, name: str):
        folder = self.folder / name
        folder.mkdir()
        return self.stack.enter_context(service(folder))

    @cached_property
    def postgresql(self) -> PostgreSQL:
        return self.start(PostgreSQL, "postgresql")

    @cached_property
    def mariadb(self) -> MariaDB:
        return self.start(MariaDB, "mariadb")

    @cached_property
    def redis(self) -> Redis:
        return self.start(Redis, "redis")

    @cached_property
    def rabbitmq(self) -> RabbitMQ:
        return self.start(RabbitMQ, "rabbitmq")

    @cached_property
    def smtp(self) -> SMTP:
        return self.start(SMTP, "smtp")

    @cached_property
    def memcached(self) -> Memcached:
        return self.start(Memcached, "memcached")

    @cached_property
    def s3(self) -> S3:
        s3 = self.start(S3, "s3")
        s3.create_bucket(self.bucket)
        return s3

    @cached_property
    def otlp(self) -> OTLPReceiver:
        return self.start(OTLPReceiver, "otlp")

    @cached_property
    def gcs(self) -> GCS:
        return self.start(GCS, "gcs")

    @cached_property
    def azure(self) -> Azure:
        azure = self.start(Azure, "azure")
        azure.create_container(self.bucket)
        return azure

    @cached_property
    def sentry(self) -> SentrySink:
        return self.start(SentrySink, "sentry")


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(tmp_path_factory.mktemp("services"), stack)


@pytest.fixture
def page() -> Iterator[Page]:
    """Open a page in a browser that resolves shop.test to this machine."""
    options = """
        --no-sandbox --disable-gpu --disable-background-networking
        --disable-component-update --disable-sync --no-first-run --no-proxy-server
    """.split()
    resolver = "--host-resolver-rules=MAP shop.test 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_program("chromium", "chromium"),
            args=[*options, resolver],
        )
        yield browser.new_page(ignore_https_errors=True)
        browser.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """Return the script of axe-core, which looks for barriers in a page."""
    folder = tmp_path_factory.mktemp("axe")
    options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
    run(find_program("npm", "npm"), "install", *options, AXE, cwd=folder)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of the tests, those of the drills as the table of promises."""
    get_reports = terminalreporter.getreports
    reports = get_reports("passed") + get_reports("failed")
    properties = [
        (name, value) for report in reports for name, value in report.user_properties
    ]
    figures = {value for name, value in properties if name == "figure"}
    promises = sorted(tuple(value) for name, value in properties if name == "promise")
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(sorted(figures)))
    if promises:
        terminalreporter.section("promises")
        terminalreporter.write_line(tabulate(promises))


def tabulate(promises: list[tuple[str, str, str]]) -> str:
    """Make a table of (promise, project, figure), with a column for each interface."""
    rows: dict[str, dict[str, list[str]]] = {}
    for promise, project, figure in promises:
        interface, _, database = project.partition(" ")
        prefix = PREFIXES[database]
        row = rows.setdefault(promise, {"wsgi": [], "asgi": []})
        row[interface].append(prefix + figure)
    lines = [
        f"| {promise} | {'; '.join(row['wsgi'])} | {'; '.join(row['asgi'])} |"
        for promise, row in rows.items()
    ]
    return "\n".join(["| promise | WSGI | ASGI |", "|---|---|---|", *lines])
