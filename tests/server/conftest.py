"""The server, once for each test worker, and a site with its first release."""

from collections.abc import Iterator

import pytest

from tests.server.host import Host
from tests.server.images import BASE, bring
from tests.server.site import Site

IMAGES = {
    "caddy": ("caddy:2.11",),
    "nginx": ("nginx:1.28", "certbot/certbot:v5.1.0"),
}
SITES = {
    "caddy wsgi": {"deployment": "caddy", "task_queue": "celery"},
    "caddy asgi": {"deployment": "caddy", "interface": "asgi"},
    "nginx wsgi": {"deployment": "nginx"},
    "nginx asgi": {
        "deployment": "nginx",
        "interface": "asgi",
        "task_queue": "database",
    },
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test-all` has the server, on one worker: a first release takes minutes."""
    for item in items:
        if "tests/server/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("server"))
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    with Host() as host:
        bring(host, BASE, "postgres:18", "redis:8")
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
    answers = SITES[request.param]
    bring(host, *IMAGES[answers["deployment"]])
    site = Site(host, tmp_path_factory.mktemp("site"), **answers)
    with site.authority() as site.root:
        site.output = {command: site.just(command) for command in ("secrets", "deploy")}
        yield site
    host.clear()


@pytest.fixture
def report(request: pytest.FixtureRequest, record_property):
    """Return a function that adds a figure to the table of promises."""
    promise = request.module.__doc__.splitlines()[0].rstrip(".")
    proxy, interface = request.node.callspec.params["site"].split()

    def report(figure: str) -> None:
        record_property("promise", (promise, interface, f"{proxy}: {figure}"))

    return report
