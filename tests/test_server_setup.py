"""A bare machine that `just server-setup` makes ready: real, in a network of its own.

The machine is Debian with its own systemd, SSH server, Docker and firewall.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bakery import PROJECT_TEMPLATE, Project, clean_environment, run
from tests.machine import (
    LAPTOP,
    SERVER,
    TREES,
    DockerRepository,
    Laptop,
    Machine,
    PackageProxy,
)
from tests.services import wait_until
from tests.services.process import find_program

pytestmark = [pytest.mark.xdist_group("server-setup"), pytest.mark.long]

SCRIPT = (PROJECT_TEMPLATE / "deploy" / "server" / "setup").read_text()
BUSYBOX = TREES / "trixie" / "usr" / "bin" / "busybox"  # a static program
PROXY = f'Acquire::http::Proxy "http://{LAPTOP}:3128"; Acquire::https::Proxy "DIRECT";'
KEYS = "/home/deploy/.ssh/authorized_keys"
LIMIT = 80  # lines that are neither blank nor a comment
FIRST_RUN = """\
Installed apparmor ca-certificates nftables unattended-upgrades \
docker.io docker-cli docker-compose.
Wrote /etc/apt/apt.conf.d/52server.
Wrote /etc/docker/daemon.json.
Wrote /etc/systemd/system/nftables.service.d/docker.conf.
Wrote /etc/nftables.conf.
Made the user deploy.
Wrote /home/deploy/.ssh/authorized_keys.
Wrote /etc/ssh/sshd_config.d/00-server.conf.
Done: the server is ready for just deploy.
"""
SECOND_RUN = "Nothing to change: the server is ready for just deploy.\n"
# Lists each path of /etc with its owner, mode and content.
SNAPSHOT = """
cd /etc
find . -printf "%p %u:%g %m %l\\n" | sort
find . -type f -exec sha256sum {} + | sort
"""


# Answers each datagram to a port.
ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", int(sys.argv[1])))
while True:
    data, peer = server.recvfrom(100)
    server.sendto(data, peer)
"""
# Prints the package of Debian's Docker with the name of Docker's own.
RENAME_ENGINE = """
cd /tmp
exec 3>&1 >&2
apt-get -qq update
apt-get -qq -o APT::Sandbox::User=root download docker.io
dpkg-deb -R docker.io*.deb engine
sed -i "s/^Package: .*/Package: docker-ce/; /^Conflicts:/d" engine/DEBIAN/control
dpkg-deb -b -Zgzip engine docker-ce.deb
cat docker-ce.deb >&3
"""
PORTS = [22, 53, 80, 443, 8000, 8080]
# How the script is started, and what it says.
REFUSALS = {
    "not root": (
        "setpriv --reuid=65534 --clear-groups sh -s",
        "this needs root: just server-setup root@HOST",
    ),
    "another system": (
        r"""printf 'ID=fedora\nVERSION_ID=42\n' >/tmp/system
        exec unshare --mount sh -c '
        mount --bind /tmp/system /usr/lib/os-release && exec sh -s'""",
        "this needs Debian 12 or Ubuntu 22.04, or later, not fedora 42.",
    ),
    "no key": ("HOME=/tmp exec sh -s", "root has no SSH key."),
    "no network": (
        "exec sh -s",
        "no package can be fetched: run apt-get update there to see why.",
    ),
}


class Owner:
    """A person at a laptop with a project, a key, and `just`."""

    def __init__(self, folder: Path, project: Project, laptop: Laptop) -> None:
        self.project, self.laptop = project, laptop
        folder.mkdir(exist_ok=True)
        self.key = folder / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key, cwd=folder)
        self.public_key = self.key.with_suffix(".pub").read_text()
        # An SSH that knows the owner's key and takes no one else's settings.
        self.ssh_options = ["-F", str(folder / "ssh_config")]
        (folder / "ssh_config").write_text(
            f"IdentityFile {self.key}\nIdentitiesOnly yes\nBatchMode yes\n"
            "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"
        )
        self.tools = folder / "tools"
        self.tools.mkdir()
        ssh = find_program("ssh", "openssh-client")
        words = " ".join(self.ssh_options)
        (self.tools / "ssh").write_text(f'#!/bin/sh\nexec {ssh} {words} "$@"\n')
        (self.tools / "ssh").chmod(0o755)

    def run(self, *command: str | Path, **variables: str):
        env = clean_environment()
        env["PATH"] = f"{self.tools}{os.pathsep}{env['PATH']}"
        return self.laptop.run(*command, cwd=self.project.path, env=env | variables)

    def set_up(self, host: str = f"root@{SERVER}"):
        just = self.project.path / ".venv" / "bin" / "just"
        return self.run(just, "server-setup", host)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory) -> Iterator[Laptop]:
    with Laptop(tmp_path_factory.mktemp("laptop")) as laptop, PackageProxy(laptop):
        yield laptop


@pytest.fixture(scope="module")
def owner(laptop, tmp_path_factory) -> Owner:
    project = Project.bake(tmp_path_factory.mktemp("project"))
    project.sync()
    return Owner(tmp_path_factory.mktemp("owner"), project, laptop)


@pytest.fixture(scope="module")
def server(owner, tmp_path_factory) -> Iterator[Machine]:
    """A machine that was set up once."""
    with start_machine(tmp_path_factory.mktemp("server"), "trixie", owner) as machine:
        result = owner.set_up()
        assert (result.returncode, result.stdout) == (0, FIRST_RUN), result.stderr
        yield machine


@pytest.fixture(scope="module")
def bare(owner, tmp_path_factory) -> Iterator[Machine]:
    """A machine that root's key opens, without a network."""
    with Machine(tmp_path_factory.mktemp("bare"), "trixie") as machine:
        machine.write("/root/.ssh/authorized_keys", owner.public_key)
        yield machine


def test_is_small_and_passes_shellcheck():
    lines = [line.strip() for line in SCRIPT.splitlines()]
    assert len([line for line in lines if line and line[0] != "#"]) <= LIMIT
    run("shellcheck", "deploy/server/setup", cwd=PROJECT_TEMPLATE)


def test_a_second_run_changes_nothing_and_keeps_keys_that_were_added(server, owner):
    server.run("sh", "-c", f"echo 'ssh-ed25519 AAAA ci' >>{KEYS}")
    before = server.run("sh", "-c", SNAPSHOT).stdout
    assert "./docker/daemon.json root:root 644" in before

    result = owner.set_up()

    assert (result.returncode, result.stdout, result.stderr) == (0, SECOND_RUN, "")
    assert server.run("sh", "-c", SNAPSHOT).stdout == before
    keys = server.run("cat", KEYS).stdout.splitlines()
    assert keys == [owner.public_key.strip(), "ssh-ed25519 AAAA ci"]


def test_the_user_deploy_reaches_docker_over_ssh_and_is_not_root(server, owner):
    version = owner.run(
        "docker", "version", "--format", "{{.Server.Version}}",
        DOCKER_HOST=f"ssh://deploy@{SERVER}",
    )  # fmt: skip
    assert int(version.stdout.split(".")[0]) >= 25, version.stderr
    compose = owner.run("ssh", f"deploy@{SERVER}", "docker compose version --short")
    assert tuple(map(int, compose.stdout.split(".")[:2])) >= (2, 24)
    assert server.run("id", "-Gn", "deploy").stdout.split() == ["deploy", "docker"]
    assert server.run("passwd", "--status", "deploy").stdout.split()[1] == "L"
    modes = server.run("stat", "-c", "%U %a", "/home/deploy/.ssh", KEYS).stdout
    assert modes == "deploy 700\ndeploy 644\n"


def test_only_keys_let_anybody_in(server, owner):
    assert server.run("sshd", "-T").stdout.count("passwordauthentication no\n") == 1
    for user in ("root", "deploy"):
        assert owner.run("ssh", f"{user}@{SERVER}", "id -un").stdout == f"{user}\n"
        by_password = ("-o", "PubkeyAuthentication=no", f"{user}@{SERVER}", "true")
        refused = owner.run("ssh", *by_password)
        assert "Permission denied (publickey)." in refused.stderr


def test_containers_outlive_the_engine_and_have_short_logs(server):
    start_container(server, "steady")
    started = inspect(
        server, "steady", "{{.State.StartedAt}} {{.HostConfig.LogConfig.Type}}"
    )

    server.run("systemctl", "restart", "docker")

    wait_until(
        lambda: inspect(server, "steady", "{{.State.Running}}") == "true", 10, "runs"
    )
    again = inspect(
        server, "steady", "{{.State.StartedAt}} {{.HostConfig.LogConfig.Type}}"
    )
    assert again == started
    assert started.endswith(" local")


def test_security_updates_are_installed_daily(server):
    settings = server.run("apt-config", "dump").stdout
    for name in ("Update-Package-Lists", "Unattended-Upgrade"):
        assert f'APT::Periodic::{name} "1";' in settings
    assert "label=Debian-Security" in settings


def test_all_of_it_starts_at_boot(server):
    units = ("ssh", "docker", "nftables", "apt-daily.timer", "apt-daily-upgrade.timer")
    enabled = server.run("systemctl", "is-enabled", *units).stdout.split()
    assert enabled == ["enabled"] * len(units)


def test_firewall_lets_in_ssh_http_and_https_alone(server, laptop):
    server.run("nft", "--check", "--file", "/etc/nftables.conf")
    for port in (443, 8000):
        server.run("systemd-run", "--quiet", "busybox", "httpd", "-f", "-p", str(port))
        server.run("systemd-run", "--quiet", "python3", "-c", ECHO, str(port))
    published = ("--publish=80:80", "--publish=53:80", "--publish=8080:80")
    start_container(server, "proxy", *published)
    docker_rules = list_docker_rules(server)
    assert "8080" in docker_rules

    assert find_open(laptop) == [22, 80, 443]
    assert not laptop.hears_udp(443)
    assert laptop.run(BUSYBOX, "ping", "-c", "1", "-W", "2", SERVER).returncode == 0
    server.run("systemctl", "stop", "nftables")
    assert list_docker_rules(server) == docker_rules
    # All of these ports listen: only the rules kept them closed.
    server.run("nft", "delete", "table", "inet", "server")
    assert find_open(laptop) == PORTS
    assert laptop.hears_udp(443)
    server.run("systemctl", "start", "nftables")
    assert find_open(laptop) == [22, 80, 443]
    assert list_docker_rules(server) == docker_rules


def test_containers_reach_each_other_and_the_outside(server):
    server.run("docker", "network", "create", "site")
    start_container(server, "app", "--network=site")
    start_container(server, "client", "--network=site")

    for address in (("app", "80"), (LAPTOP, "3128")):
        connect = ("docker", "exec", "client", "/bin/busybox", "nc", "-w", "2")
        server.run(*connect, *address)


def test_a_port_of_its_own_for_ssh_stays_open(server, owner, laptop):
    server.write("/etc/ssh/sshd_config.d/port.conf", "Port 22\nPort 2222\n")
    server.run("systemctl", "restart", "ssh")
    rules = server.run("cat", "/etc/nftables.conf").stdout
    server.run("nft", "insert", "rule", "inet", "server", "input", "accept")

    result = owner.set_up(f"ssh://root@{SERVER}:2222")
    again = owner.set_up(f"ssh://root@{SERVER}:2222")

    assert result.stdout.startswith("Wrote /etc/nftables.conf.\nDone:"), result.stderr
    assert again.stdout == SECOND_RUN
    server.write("/etc/nftables.conf", rules)
    server.run("systemctl", "reload", "nftables")
    assert owner.set_up().stdout == SECOND_RUN


@pytest.mark.parametrize(("command", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_refuses_in_one_sentence_and_changes_nothing(bare, command, sentence):
    before = bare.run("sh", "-c", SNAPSHOT).stdout

    result = bare.run("sh", "-c", command, input=SCRIPT, check=False)

    assert result.returncode == 1
    assert (result.stdout, result.stderr) == ("", f"server-setup: {sentence}\n")
    assert bare.run("sh", "-c", SNAPSHOT).stdout == before


def test_debian_12_takes_docker_from_its_makers_signed_repository(owner, tmp_path):
    """Its engine is Debian's own under Docker's name; the signatures are real."""
    with Laptop(tmp_path / "laptop") as laptop, PackageProxy(laptop):
        buyer = Owner(tmp_path / "owner", owner.project, laptop)
        with start_machine(tmp_path / "bookworm", "bookworm", buyer) as machine:
            engine = machine.run("sh", "-ec", RENAME_ENGINE, text=False).stdout
            folder = tmp_path / "repository"
            with DockerRepository(folder, laptop, engine) as repository:
                certificate = "/usr/local/share/ca-certificates/test.crt"
                machine.write(certificate, repository.authority)
                machine.write("/etc/hosts", f"{LAPTOP} download.docker.com\n")

                result = buyer.set_up()

                assert result.returncode == 0, result.stderr
                assert "docker-ce docker-compose-plugin.\n" in result.stdout
                policy = machine.run("apt-cache", "policy", "docker-ce").stdout
                assert "https://download.docker.com/linux/debian bookworm" in policy
                machine.run("nft", "list", "chain", "inet", "server", "forward")
                assert buyer.set_up().stdout == SECOND_RUN


def start_machine(folder: Path, release: str, owner: Owner) -> Machine:
    """Boot a bare machine that the owner's key opens."""
    machine = Machine(folder, release)
    machine.connect(owner.laptop)
    machine.write("/etc/apt/apt.conf.d/00proxy", PROXY)
    machine.write("/root/.ssh/authorized_keys", owner.public_key)
    return machine


def start_container(server: Machine, name: str, *options: str) -> None:
    """Start a web server in a container, from an image with nothing else in it."""
    image = "tar -C / -c bin/busybox | docker import - busybox >/dev/null"
    server.run("sh", "-ec", f"docker image inspect busybox >/dev/null 2>&1 || {image}")
    command = ("docker", "run", "--detach", "--name", name, *options, "busybox")
    server.run(*command, "/bin/busybox", "httpd", "-f", "-p", "80")


def inspect(server: Machine, name: str, template: str) -> str:
    return server.run("docker", "inspect", "--format", template, name).stdout.strip()


def list_docker_rules(server: Machine) -> str:
    """Return the rules of Docker's own tables, without the counters."""
    rules = server.run("nft", "--stateless", "list", "table", "ip", "nat").stdout
    return (
        rules + server.run("nft", "--stateless", "list", "table", "ip", "filter").stdout
    )


def find_open(laptop: Laptop) -> list[int]:
    return [port for port in PORTS if laptop.reaches(port)]
