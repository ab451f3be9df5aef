"""The server, once for each test worker, and a site with its first release."""

from collections.abc import Iterator

import pytest

from tests.server.host import Host
from tests.server.images import BASE, bring, bring_restic
from tests.server.site import Site

IMAGES = {
    "caddy": ("caddy:2.11",),
    "nginx": ("nginx:1.28", "certbot/certbot:v5.1.0"),
}
SITES = {
    "caddy wsgi": {"deployment": "caddy", "task_queue": "celery", "ci": "github"},
    "caddy asgi": {"deployment": "caddy", "interface": "asgi"},
    "nginx wsgi": {"deployment": "nginx"},
    "nginx asgi": {
        "deployment": "nginx",
        "interface": "asgi",
        "task_queue": "database",
    },
}
# For backups alone.
MORE = {
    "caddy mysql": {"database": "mysql", "media_storage": "filesystem"},
    "caddy sqlite": {
        "database": "sqlite",
        "cache": "database",
        "media_storage": "filesystem",
    },
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` has one proxy and one interface, on one worker."""
    for item in items:
        if "tests/server/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("server"))
            if item.callspec.params["site"] != "caddy wsgi":
                item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    with Host() as host:
        bring(host, BASE, "postgres:18", "redis:8")
        bring_restic(host)
        yield host


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for every site, or for those of the mark `sites`."""
    if "site" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("sites")
        names = mark.args if mark else SITES
        metafunc.parametrize("site", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def site(request, host, tmp_path_factory) -> Iterator[Site]:
    """Yield a site after its first release, by the commands of docs/deploy.md."""
    answers = (SITES | MORE)[request.param]
    bring(host, *IMAGES[answers.get("deployment", "caddy")])
    if answers.get("database") == "mysql":
        bring(host, "mysql:8.4")
    site = Site(host, tmp_path_factory.mktemp("site"), **answers)
    with site.authority() as site.root:
        site.output = {command: site.just(command) for command in ("secrets", "deploy")}
        yield site
    host.clear()


@pytest.fixture
def report(request: pytest.FixtureRequest, record_property):
    """Return a function that adds a figure to the table of promises."""
    promise = request.module.__doc__.splitlines()[0].rstrip(".")
    site = request.node.callspec.params["site"]
    name, _, interface = site.rpartition(" ")
    if site in MORE:
        name, interface = site.split()[1], "wsgi"

    def report(figure: str) -> None:
        record_property("promise", (promise, interface, f"{name}: {figure}"))

    return report
