"""Registry: a release that was built elsewhere is pulled, and not built again."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.host import Host
from tests.services import Process
from tests.services.process import find_program

CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:5000"}}
"""


@contextmanager
def registry(host: Host, folder: Path):
    """Run Docker's registry on the server; yield where it is."""
    file = folder / "registry.yml"
    file.write_text(CONFIGURATION.format(folder=folder))
    program = find_program("docker-registry", "docker-registry")
    with Process(host.inside(program, "serve", file), folder, name="registry") as it:
        it.wait_for(lambda: "listening on" in it.log, 30, "the registry listens")
        yield "127.0.0.1:5000"


@pytest.mark.long
@pytest.mark.sites("caddy wsgi")
def test_a_release_is_pulled_from_the_registry_that_is_named(site, report, tmp_path):
    name = site.path.name
    release = site.commit("Pulled")
    with registry(site.host, tmp_path) as address:
        image = f"{address}/{name}"
        build = f"docker build --quiet --network host --build-arg RELEASE={release}"
        site.run(*build.split(), "--tag", f"{image}:{release}", ".")
        site.host.docker("push", "--quiet", f"{image}:{release}")
        # A roll back of a later test finds it under the name without a registry.
        site.host.docker("tag", f"{image}:{release}", f"{name}:{release}")
        site.host.docker("image", "rm", f"{image}:{release}")
        site.just("deploy", IMAGE=image)
    for container in site.containers("-app-"):
        used = site.host.docker("inspect", "--format={{.Config.Image}}", container)
        assert used.strip() == f"{image}:{release}"
    assert site.releases()[-1].endswith(f"{release} ok")
    report("pulled")
