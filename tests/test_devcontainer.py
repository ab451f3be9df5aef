"""The dev container: the real tool opens a clone, whose files stay their owner's."""

import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bakery import Project, clean_environment, run
from tests.services import Process, free_port, wait_until
from tests.services.process import find_program
from tests.test_image import docker, find_docker

pytestmark = pytest.mark.xdist_group("docker")

CLI = "@devcontainers/cli@0.89.0"
# Of a user of the machine who is not the one of the image, nor root.
OWNER = 4321
# The engine may have no network of its own.
CLIENT = """#!/bin/sh
case "$1 $2" in
    "buildx build") shift 2; exec {docker} buildx build --network=host "$@" ;;
    "build "* | "run "*) verb=$1; shift; exec {docker} "$verb" --network=host "$@" ;;
esac
exec {docker} "$@"
"""
# The tool asks for the name of the user who runs it.
AS_OWNER = """
mount --bind {folder}/passwd /etc/passwd
exec setpriv --reuid={owner} --regid={owner} --groups={socket} -- "$@"
"""
GET = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1]).status)
"""
# The driver of MySQL is compiled.
DATABASES = ["postgresql", "mysql"]


@pytest.mark.long
def test_a_clone_opens_and_serves_and_nothing_in_it_belongs_to_root(editor):
    container = editor.open()
    assert container["remoteUser"] == "developer"
    assert container["remoteWorkspaceFolder"] == "/workspaces/my_project"
    assert editor.execute("id", "-u") == f"{editor.owner}\n"
    made = {".env", "db.sqlite3", ".git/hooks/pre-commit", "config/__pycache__"}
    assert [path for path in made if not (editor.clone / path).exists()] == []
    # The environment is in the container: one of the host would not work there.
    assert not (editor.clone / ".venv").exists()
    assert editor.execute("git", "status", "--porcelain") == ""

    port = str(free_port())
    with editor.start("uv", "run", "just", "dev", port):
        url = f"http://127.0.0.1:{port}/"
        get = ("python", "-c", GET, url)
        wait_until(lambda: editor.execute(*get, check=False) == "200\n", 30, url)
    editor.execute("uv", "run", "just", "setup")
    paths = [editor.clone, *editor.clone.rglob("*")]
    owners = {path.lstat().st_uid for path in paths}
    groups = {path.lstat().st_gid for path in paths}
    assert (owners, groups) == ({editor.owner}, {editor.clone.stat().st_gid})


def test_the_host_reaches_the_port_and_no_feature_is_downloaded(bake):
    path = bake().path / ".devcontainer" / "devcontainer.json"
    configuration = json.loads(path.read_text())
    assert configuration["forwardPorts"] == [8000]
    assert configuration["updateRemoteUserUID"]
    assert "features" not in configuration


@dataclass
class Editor:
    """What an editor does with a clone, through the command line of dev containers."""

    folder: Path
    clone: Path
    owner: int

    def open(self) -> dict[str, str]:
        up = self.command("up", f"--user-data-folder={self.folder}")
        return json.loads(run(*up, cwd=self.folder, env=self.env).stdout)

    def execute(self, *command: str, check: bool = True) -> str:
        """Run a command in the container; return what it prints."""
        inside = self.command("exec", *command)
        return run(*inside, cwd=self.folder, env=self.env, check=check).stdout

    def start(self, *command: str) -> Process:
        env = clean_environment() | self.env
        return Process(self.command("exec", *command), self.folder, env=env)

    @property
    def env(self) -> dict[str, str]:
        return dict.fromkeys(("HOME", "TMPDIR"), str(self.folder))

    def command(self, verb: str, *arguments: str) -> list[str | Path]:
        node = find_program("node", "nodejs")
        tool = self.folder / "node_modules" / ".bin" / "devcontainer"
        options = [f"--docker-path={self.folder / 'docker'}"]
        options += [f"--workspace-folder={self.clone}"]
        return [*self.as_owner(), node, tool, verb, *options, *arguments]

    def as_owner(self) -> list[str]:
        """Return the command that runs another one as the owner of the clone."""
        if os.getuid() == self.owner:
            return []
        script = AS_OWNER.format(
            folder=self.folder,
            owner=self.owner,
            socket=Path("/var/run/docker.sock").stat().st_gid,
        )
        return ["unshare", "--mount", "sh", "-ec", script, "sh"]


@pytest.fixture(scope="module", params=DATABASES)
def editor(request) -> Iterator[Editor]:
    # Not in pytest's folder, which only its owner can enter.
    folder = Path(tempfile.mkdtemp(prefix="devcontainer-")).resolve()
    owner = os.getuid() or OWNER
    editor = Editor(folder, folder / "my_project", owner)
    try:
        prepare(editor, database=request.param)
        yield editor
    finally:
        label = f"label=devcontainer.local_folder={editor.clone}"
        found = docker("ps", "--all", "--quiet", f"--filter={label}").stdout.split()
        for container in found:
            inspected = docker("inspect", "--format={{.Config.Image}}", container)
            docker("rm", "--force", "--volumes", container)
            image = inspected.stdout.strip()
            docker("image", "rm", "--force", image, image.removesuffix("-uid"))
        shutil.rmtree(folder)


def prepare(editor: Editor, **answers: str) -> None:
    """Make a clone, the tool and a client of Docker, all for the owner."""
    folder = editor.folder
    origin = Project.bake(folder / "origin", **answers)
    origin.uv("lock", "--quiet")
    author = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")
    run("git", "add", ".", cwd=origin.path)
    run("git", *author, "commit", "--quiet", "--message", "Start", cwd=origin.path)
    run("git", "clone", "--quiet", origin.path, editor.clone, cwd=folder)
    options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
    run(find_program("npm", "npm"), "install", *options, CLI, cwd=folder)
    client = folder / "docker"
    client.write_text(CLIENT.format(docker=shlex.quote(find_docker())))
    client.chmod(0o755)
    users = Path("/etc/passwd").read_text()
    entry = f"owner:x:{editor.owner}:{editor.owner}::{folder}:/bin/sh\n"
    (folder / "passwd").write_text(users + entry)
    if os.getuid() != editor.owner:
        run("chown", "-R", f"{editor.owner}:{editor.owner}", folder, cwd=folder)
