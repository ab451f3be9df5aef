"""Delivery: the jobs of CI build, attest and push an image, and deploy that one."""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.bakery import clean_environment, run
from tests.server.host import SITE
from tests.server.runner import REGISTRY, TOKEN, USER, Runner
from tests.server.site import Site
from tests.test_ci import BASH, DELIVER, export

pytestmark = [pytest.mark.long, pytest.mark.sites("caddy wsgi")]

NAME = f"{REGISTRY}/team/shop"
# A runner ends with its job, this machine does not.
END_AGENT = "trap 'ssh-agent -k >/dev/null 2>&1 || :' EXIT\n"


@pytest.fixture(scope="session")
def runner(host) -> Iterator[Runner]:
    with Runner(host).start() as runner:
        yield runner


@pytest.fixture
def release(site) -> Iterator[str]:
    """Commit a change, with the server's address; yield the hash."""
    site.project.replace("deploy/production.env", "ssh://deploy@", "ssh://root@")
    site.commit("Deliver")
    yield run("git", "rev-parse", "HEAD", cwd=site.path).stdout.strip()
    site.undo()


def test_github_deploys_the_image_that_was_built_once(site, bake, runner, release):
    jobs = GitHub(site, runner, bake(ci="github").path, release)

    jobs.run("image")
    image = f"{NAME}:{release}"
    assert_is_attested(site, runner, image, release)
    other_key = (site.host.folder / "client.pub").read_text()
    refused = jobs.run("deploy", known_hosts=f"{SITE} {other_key}", check=False)
    assert "Host key verification failed" in refused.stderr
    assert release not in site.just("releases").stdout
    jobs.run("deploy")

    assert_serves(site, runner, image)
    assert " ada@" in site.releases()[-1]


def test_gitlab_deploys_the_image_that_was_built_once(
    site, bake, runner, release, report
):
    jobs = GitLab(site, runner, bake(ci="gitlab").path, release)
    image = f"{NAME}:{release}"
    jobs.run("container", branch="")  # of a merge request
    with pytest.raises(RuntimeError, match="not found"):
        inspect(site, runner, image, "SBOM")

    jobs.run("container", branch="main")
    assert_is_attested(site, runner, image, release)
    jobs.run("deploy", branch="main")

    assert_serves(site, runner, image)
    report("from the jobs of GitHub and GitLab, with SBOM and provenance")


class Jobs:
    """The jobs of a workflow, run from a shell in the project's folder."""

    def __init__(self, site: Site, runner: Runner, project: Path, release: str) -> None:
        self.site = site
        self.runner = runner
        self.project = project
        self.release = release
        self.key = (site.host.folder / "client").read_text()
        self.known_hosts = f"{SITE} {(site.host.folder / 'host.pub').read_text()}"

    def execute(self, *command: str, env: dict[str, str], check: bool = True):
        folders = [self.runner.environment["PATH"], clean_environment()["PATH"]]
        folders.append(str(self.site.path / ".venv" / "bin"))
        tools = {"PATH": ":".join(folders), "UV_PYTHON": sys.executable}
        env = self.runner.environment | self.site.trust | tools | env
        return run(*command, cwd=self.site.path, env=env, check=check)


class GitHub(Jobs):
    def run(self, name: str, known_hosts: str = "", check: bool = True):
        """Run the steps of a job, except those with sudo; return the last one."""
        workflow = yaml.safe_load((self.project / DELIVER).read_text())
        output = self.runner.folder / "output"
        output.touch()
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        values = {
            "github.sha": self.release,
            "github.token": TOKEN,
            "needs.image.outputs.name": outputs.get("name", ""),
            "secrets.SSH_KEY": self.key,
            "vars.SSH_KNOWN_HOSTS": known_hosts or self.known_hosts,
        }
        steps = workflow["jobs"][name]["steps"]
        for step in steps:
            script = step.get("run", "sudo").replace("ghcr.io", REGISTRY)
            if "sudo" in script:
                continue
            env = {
                "GITHUB_ACTOR": USER,
                "GITHUB_OUTPUT": str(output),
                "GITHUB_REPOSITORY": "Team/Shop",
                "GITHUB_SHA": self.release,
            }
            for variable, value in step.get("env", {}).items():
                env[variable] = values[value.strip("${} ")]
            result = self.execute(*BASH, END_AGENT + script, env=env, check=check)
        return result


class GitLab(Jobs):
    def run(self, name: str, branch: str) -> None:
        workflow = yaml.safe_load((self.project / ".gitlab-ci.yml").read_text())
        job = workflow[name]
        files = {"SSH_KEY": self.key, "SSH_KNOWN_HOSTS": self.known_hosts}
        for variable, text in files.items():
            (self.runner.folder / variable).write_text(text)
        env = {
            "CI_COMMIT_BRANCH": branch,
            "CI_COMMIT_SHA": self.release,
            "CI_DEFAULT_BRANCH": "main",
            "CI_REGISTRY": REGISTRY,
            "CI_REGISTRY_IMAGE": NAME,
            "CI_REGISTRY_PASSWORD": TOKEN,
            "CI_REGISTRY_USER": USER,
            **{variable: str(self.runner.folder / variable) for variable in files},
        }
        for variable, value in job["variables"].items():
            env[variable] = env.get(value.removeprefix("$"), value)
        if name == "deploy":
            env["DOCKER_HOST"] = "tcp://docker:2376"  # as the image sets it
        script = "\n".join(line for line in job["script"] if "apk add" not in line)
        self.execute("sh", "-ec", END_AGENT + script, env=env)


def assert_is_attested(site: Site, runner: Runner, image: str, release: str) -> None:
    """Look for what production installs in the SBOM, and for the commit."""
    packages = inspect(site, runner, image, "SBOM")["SPDX"]["packages"]
    urls = {
        reference["referenceLocator"]
        for package in packages
        for reference in package.get("externalRefs", [])
        if reference["referenceType"] == "purl"
    }
    found = {url.removeprefix("pkg:pypi/") for url in urls}
    production, development = locked(site, "--no-dev"), locked(site, "--only-dev")
    assert production <= found
    assert not (development - production) & found
    assert [url for url in urls if url.startswith("pkg:deb/debian/libc6@")]
    parameters = inspect(site, runner, image, "Provenance")["SLSA"]["invocation"]
    assert parameters["parameters"]["args"]["build-arg:REVISION"] == release


def assert_serves(site: Site, runner: Runner, image: str) -> None:
    """Look for the image that was pushed in each instance, by its digest."""
    release = image.rpartition(":")[2]
    pushed = runner.docker("image", "inspect", "--format={{.Id}}", image).strip()
    digests = '--format={{join .RepoDigests " "}}'
    pulled = site.host.docker("image", "inspect", digests, image).split()
    assert f"{NAME}@{pushed}" in pulled
    for container in site.containers("-app-"):
        used = site.host.docker("inspect", "--format={{.Config.Image}}", container)
        assert used.strip() == image
        variables = site.host.docker("exec", container, "env").splitlines()
        assert f"RELEASE={release}" in variables
    assert site.releases()[-1].endswith(f"{release} ok")
    # A roll back of a later test finds it under the name without a registry.
    site.host.docker("tag", image, f"{site.path.name}:{release}")


def inspect(site: Site, runner: Runner, image: str, what: str) -> dict:
    """Read a part of an image's attestations with the command of the guide."""
    guide = (site.path / "docs" / "delivery.md").read_text()
    [command] = re.findall(rf"^docker (.* json \.{what} .*)$", guide, re.MULTILINE)
    return json.loads(
        runner.docker(*shlex.split(command.replace("IMAGE:COMMIT", image)))
    )


def locked(site: Site, *options: str) -> set[str]:
    """Return the locked packages of this platform, as NAME@VERSION."""
    lines = export(site.project, *options, "--no-emit-project").splitlines()
    requirements = [Requirement(line) for line in lines]
    return {
        f"{needed.name}@{str(needed.specifier).removeprefix('==')}"
        for needed in requirements
        if not needed.marker or needed.marker.evaluate()
    }
