"""An empty server: a network of its own with a Docker engine and SSH, nothing else."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.services import NotInstalledError, Process, wait_until
from tests.services.answers import Answers
from tests.services.process import find_program, run

SITE = "shop.test"
ENGINE = Path(
    "/opt/docker-engine/engine/usr"
)  # where shared/tools/docker-engine has it
CONFIGURATION = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
ListenAddress {address}
PidFile none
StrictModes no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv DOCKER_HOST=unix://{folder}/docker.sock PATH={path}
"""
CLIENT = """
Host {site}
    HostName {address}
    IdentityFile {folder}/client
    UserKnownHostsFile {folder}/known_hosts
    StrictHostKeyChecking accept-new
    LogLevel ERROR
    ControlMaster auto
    ControlPath {folder}/%C
    ControlPersist 60
"""
# The laptop's Docker client: builds reach package indexes through a proxy.
BUILD = """#!/bin/sh
if [ "$1" = build ]; then
    shift
    set -- build --build-arg HTTP_PROXY={proxy} --build-arg HTTPS_PROXY={proxy} "$@"
fi
exec {docker} "$@"
"""


class Host:
    """As a context manager it starts the server, and removes it with all its data."""

    def __init__(self) -> None:
        number = secrets.randbelow(250) + 1
        self.name = f"server{number}"
        self.address = f"198.18.{number}.2"
        self._gateway = f"198.18.{number}.1"
        # Short: paths of sockets have at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="host-"))
        self._stack = ExitStack()
        self._engine: Process | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.enter_context(self._network())
            stack.callback(self.stop_engine)
            self.start_engine()
            self._start_ssh(stack)
            stack.enter_context(self._internet())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(RuntimeError):
            self.docker("ps", "--all", "--quiet")
            self.clear()
        self._stack.close()

    def inside(self, *command: str | Path) -> list[str | Path]:
        """Return the command that runs in the server's network.

        `ip netns exec` would mount a new /sys, without control groups.
        """
        return ["nsenter", f"--net=/run/netns/{self.name}", *command]

    def docker(self, *arguments: str | Path, **options) -> str:
        socket_file = f"unix://{self.folder / 'docker.sock'}"
        program = find_program("docker", "docker.io")
        return run([program, "--host", socket_file, *arguments], **options)

    def clear(self) -> None:
        """Remove every container, volume and network."""
        for command in ("ps --all --quiet", "volume ls --quiet"):
            found = self.docker(*command.split()).split()
            kind = ("rm",) if command.startswith("ps") else ("volume", "rm")
            if found:
                self.docker(*kind, "--force", *found)
        self.docker("network", "prune", "--force")

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of a laptop that may deploy to the server."""
        return {
            "DOCKER_HOST": f"ssh://root@{SITE}",
            "DOCKER_CONFIG": str(self.folder / "laptop"),
            "PATH": f"{self.folder / 'laptop'}{os.pathsep}{os.environ['PATH']}",
        }

    def start_engine(self) -> None:
        self._engine = self.run_engine(self.folder)
        self._engine.wait_for(self._answers, 60, "the engine to answer")

    def run_engine(self, folder: Path, *more: str) -> Process:
        """Start an engine in the server's network that has its data in this folder."""
        options = f"""
            --host=unix://{folder}/docker.sock --data-root={folder}/data
            --exec-root={folder}/run --pidfile={folder}/pid
            --iptables=false --ip6tables=false --default-ulimit=nofile=1024:1024
        """.split()
        program = shutil.which("dockerd") or ENGINE / "sbin" / "dockerd"
        if not Path(program).exists():
            raise NotInstalledError(
                "dockerd is not installed: apt-get install docker.io"
            )
        path = f"{ENGINE}/bin:{ENGINE}/sbin:{os.environ['PATH']}:/usr/sbin:/sbin"
        return Process(
            self.inside(program, *options, *more),
            folder,
            name="dockerd",
            env=os.environ | {"PATH": path},
        )

    def stop_engine(self) -> None:
        if self._engine:
            self._engine.stop(timeout=60)
            self._engine = None

    def kill_engine(self) -> None:
        """End the engine at once, as a crash of the machine does."""
        assert self._engine
        self._engine.send_signal(signal.SIGKILL)
        self._engine.wait(10)
        self.stop_engine()

    def kill_process(self, pid: int) -> None:
        """Send SIGKILL to a process of a container, as the kernel does."""
        os.kill(pid, signal.SIGKILL)

    def _answers(self) -> bool:
        with suppress(RuntimeError):
            return bool(self.docker("version"))
        return False

    @contextmanager
    def _network(self) -> Iterator[None]:
        hosts = Path("/etc/netns") / self.name
        outer = f"{self.name}-out"
        commands = f"""
            ip netns add {self.name}
            ip link add {outer} type veth peer name eth0 netns {self.name}
            ip address add {self._gateway}/30 dev {outer}
            ip link set {outer} up
            ip -n {self.name} address add {self.address}/30 dev eth0
            ip -n {self.name} link set eth0 up
            ip -n {self.name} link set lo up
        """
        hosts.mkdir(parents=True)
        (hosts / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {SITE}\n")
        try:
            for command in commands.strip().splitlines():
                run(command.split())
            yield
        finally:
            subprocess.run(["ip", "netns", "delete", self.name], check=False)
            shutil.rmtree(hosts)

    def _start_ssh(self, stack: ExitStack) -> None:
        program = find_program("sshd", "openssh-server")
        for name in ("host", "client"):
            file = self.folder / name
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file])
        Path("/run/sshd").mkdir(exist_ok=True)
        values = {"folder": self.folder, "address": self.address, "site": SITE}
        values["path"] = os.environ["PATH"]
        (self.folder / "sshd_config").write_text(CONFIGURATION.format(**values))
        (self.folder / "ssh_config").write_text(CLIENT.format(**values))
        command = (program, "-D", "-e", "-f", self.folder / "sshd_config")
        stack.enter_context(Process(self.inside(*command), self.folder, name="sshd"))
        laptop = self.folder / "laptop"
        laptop.mkdir()
        client = laptop / "ssh"
        real = find_program("ssh", "openssh-client")
        client.write_text(f'#!/bin/sh\nexec {real} -F {self.folder}/ssh_config "$@"\n')
        client.chmod(0o755)
        plugins = Path("/usr/local/lib/docker/cli-plugins")
        if plugins.exists():
            (laptop / "cli-plugins").symlink_to(plugins)

        def is_open() -> bool:
            with suppress(OSError), socket.create_connection((self.address, 22), 1):
                return True
            return False

        wait_until(is_open, 10, "SSH to answer")

    @contextmanager
    def _internet(self) -> Iterator[None]:
        """Let builds reach package indexes, by a proxy that listens in the network."""
        made: list[ThreadingHTTPServer] = []

        def listen() -> None:
            with Path(f"/run/netns/{self.name}").open() as file:
                os.setns(file.fileno(), os.CLONE_NEWNET)  # of this thread alone
            made.append(ThreadingHTTPServer((self.address, 3128), Tunnel))

        thread = threading.Thread(target=listen)
        thread.start()
        thread.join()
        with made[0] as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            proxy = f"http://{self.address}:3128"
            client = self.folder / "laptop" / "docker"
            program = find_program("docker", "docker.io")
            client.write_text(BUILD.format(proxy=proxy, docker=program))
            client.chmod(0o755)
            yield
            server.shutdown()


class Tunnel(Answers, BaseHTTPRequestHandler):
    """Connect a client with the host that it names."""

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), 30) as remote:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pump, args=(remote, self.connection))
            back.start()
            pump(self.connection, remote)
            back.join()

    def do_GET(self) -> None:
        """Fetch a Debian package."""
        with urllib.request.urlopen(self.path, timeout=60) as remote:
            self.answer(200, remote.read())


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
