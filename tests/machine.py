"""A machine to set up: Debian with its systemd in namespaces, reached from a laptop.

Both have networks of their own: nothing of this machine's changes. Packages come from
the package servers that this machine's apt uses, through a proxy.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from email.utils import formatdate
from functools import partial
from hashlib import sha256
from http.server import (
    BaseHTTPRequestHandler,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
)
from pathlib import Path
from typing import Self

from tests.bakery import TEMPLATE
from tests.services import Certificate, Process, wait_until
from tests.services.answers import Answers
from tests.services.process import find_program, run

LAPTOP, SERVER = "203.0.113.1", "203.0.113.5"
TREES = TEMPLATE / "build" / "trees"
PACKAGES = "systemd-sysv,dbus,openssh-server,iproute2,busybox-static"
# Boots the tree in $1 with a new layer on top, in the control group $2. Of /proc/sys
# only the network is writable: the rest would be this machine's.
BOOT = """
mkdir "$2"
echo $$ >"$2/cgroup.procs"
exec unshare --mount --uts --ipc --net --cgroup --pid --fork --kill-child sh -ec '
cd "$1"
mount -t tmpfs -o mode=755 tmpfs "$3"
mkdir "$3/upper" "$3/work" "$3/root"
mount -t overlay -o "lowerdir=$1,upperdir=$3/upper,workdir=$3/work" overlay "$3/root"
cd "$3/root"
mount -t proc proc proc
mount --bind proc/sys/net run
mount --bind -o ro proc/sys proc/sys
mount --move run proc/sys/net
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in dev run tmp var/lib/docker; do
    mkdir -p $folder
    mount -t tmpfs -o mode=755 tmpfs $folder
done
chmod 1777 tmp
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in null zero full random urandom tty; do
    mknod -m 666 dev/$name c $(stat -c "%Hr %Lr" /dev/$name)
done
hostname server
mount --move . /
exec env -i container=test PATH="$PATH" chroot . /sbin/init
' sh "$@"
"""


class Laptop:
    """A network with one machine in it, from which others are reached."""

    def __init__(self, folder: Path) -> None:
        command = [find_program("unshare", "util-linux"), "--net", "sleep", "infinity"]
        self.process = Process(command, folder, name="laptop")
        wait_until(lambda: own_network(self.process.pid), 5, "the laptop has a network")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.stop()

    def run(self, *command: str | Path, **options) -> subprocess.CompletedProcess:
        """Run a command in the laptop's network."""
        enter = ("nsenter", f"--net=/proc/{self.process.pid}/ns/net", "--")
        options = {"capture_output": True, "text": True, "timeout": 400} | options
        return subprocess.run([*enter, *command], check=False, **options)

    def reaches(self, port: int) -> bool:
        """Tell whether the server's TCP port takes a connection within a second."""
        connect = f": </dev/tcp/{SERVER}/{port}"
        return self.run("timeout", "1", "bash", "-c", connect).returncode == 0

    def hears_udp(self, port: int) -> bool:
        """Tell whether the server's UDP port answers within a second."""
        ask = f"exec 3<>/dev/udp/{SERVER}/{port}; echo hello >&3; head -c 5 <&3"
        return self.run("timeout", "1", "bash", "-c", ask).stdout == "hello"


class Machine:
    """A tree of Debian that has booted, without a network."""

    def __init__(self, folder: Path, release: str) -> None:
        self.layer = folder / "layer"
        self.layer.mkdir(parents=True)
        self.group = find_control_groups() / f"{folder.name}-{os.getpid()}"
        command = ("sh", "-ec", BOOT, "sh", make_tree(release), self.group, self.layer)
        self.process = Process(
            command, folder, name="machine", stop_signal=signal.SIGKILL
        )
        self.process.wait_for(self.find_init, 10, "the machine has an init")
        self.init = self.find_init()
        wait_until(self.is_up, 30, "the machine has started")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.stop()
        wait_until(self.remove_control_groups, 10, "the control groups are empty")

    def connect(self, laptop: Laptop) -> None:
        """Lay a cable between the laptop and this machine."""
        ends = ("veth0", "type", "veth", "peer", "name", "eth0", "netns", self.init)
        check(laptop.run("ip", "link", "add", *ends))
        for command in (f"addr add {LAPTOP}/24 dev veth0", "link set veth0 up"):
            check(laptop.run("ip", *command.split()))
        for command in (f"addr add {SERVER}/24 dev eth0", "link set eth0 up"):
            self.run("ip", *command.split())

    def find_init(self) -> str:
        """Return the number of the machine's process 1 on this machine."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        child = children.read_text().strip()
        booted = child and Path(f"/proc/{child}/comm").read_text() == "systemd\n"
        return child if booted else ""

    def is_up(self) -> bool:
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def run(self, *command: str | Path, check: bool = True, **options):
        """Run a command on the machine, as root."""
        enter = ("nsenter", "--all", "--target", self.init, "--")
        options = {"capture_output": True, "text": True, "timeout": 400} | options
        result = subprocess.run([*enter, *command], check=False, **options)
        assert result.returncode == 0 or not check, result.stdout + result.stderr
        return result

    def write(self, path: str, text: str) -> None:
        self.run(
            "sh", "-ec", f'mkdir -p "{Path(path).parent}"; cat >"{path}"', input=text
        )

    def remove_control_groups(self) -> bool:
        for folder, _, _ in os.walk(self.group, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                return False
        return True


class LaptopServer(ThreadingHTTPServer):
    """A web server of this process that listens in the laptop's network."""

    daemon_threads = True

    def __init__(self, laptop: Laptop, port: int, handler: type) -> None:
        super().__init__(("", port), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listen(laptop.process.pid, port)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()


class PackageProxy(LaptopServer):
    """A proxy to the package servers that keeps packages for the next time."""

    def __init__(self, laptop: Laptop) -> None:
        super().__init__(laptop, 3128, ProxyHandler)


class DockerRepository(LaptopServer):
    """A signed repository of packages in place of download.docker.com, over HTTPS.

    Its packages are stand-ins: `engine` has another name, and the plugin says only its
    version. The key, the signatures and apt are real.
    """

    def __init__(self, folder: Path, laptop: Laptop, engine: bytes) -> None:
        certificate = Certificate(folder / "certificate", "download.docker.com")
        self.authority = certificate.file.read_text()
        root = folder / "linux" / "debian"
        make_repository(root, engine)
        handler = partial(SimpleHTTPRequestHandler, directory=folder)
        super().__init__(laptop, 443, handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.file, certificate.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)


class ProxyHandler(Answers, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kept = TREES / "packages" / sha256(self.path.encode()).hexdigest()
        if kept.exists():
            self.answer(200, kept.read_bytes())
            return
        try:
            with urllib.request.urlopen(self.path, timeout=60) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            self.answer(error.code, b"")
            return
        if self.path.endswith(".deb"):
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(body)
        self.answer(200, body)


def make_repository(root: Path, engine: bytes) -> None:
    """Make a signed repository of an engine and a plugin with Docker's names."""
    pool, suite = root / "pool", root / "dists" / "bookworm"
    index = suite / "stable" / "binary-amd64" / "Packages"
    for folder in (pool, index.parent):
        folder.mkdir(parents=True)
    plugin = (
        '#!/bin/sh\ncase "$*" in *metadata) echo "$META" ;; *) echo 2.40.0 ;; esac\n'
    )
    metadata = '{"SchemaVersion": "0.1.0", "Vendor": "test", "Version": "2.40.0"}'
    plugin = plugin.replace('"$META"', f"'{metadata}'")
    (pool / "docker-ce.deb").write_bytes(engine)
    make_plugin(pool, plugin)
    entries = [describe_package(package) for package in sorted(pool.glob("*.deb"))]
    index.write_text("\n".join(entries))
    digest, size = sha256(index.read_bytes()).hexdigest(), index.stat().st_size
    (suite / "Release").write_text(
        "Origin: Docker\nSuite: bookworm\nCodename: bookworm\nComponents: stable\n"
        f"Date: {formatdate(usegmt=True)}\nArchitectures: amd64\n"
        f"SHA256:\n {digest} {size} stable/binary-amd64/Packages\n"
    )
    home = root.parent / "gnupg"
    home.mkdir(mode=0o700)
    gpg = [find_program("gpg", "gnupg"), "--homedir", home, "--batch", "--quiet"]
    run([*gpg, "--passphrase", "", "--quick-generate-key", "test", "rsa2048", "sign"])
    run([*gpg, "--armor", "--output", root / "gpg", "--export"])
    sign = ("--clearsign", "--output", suite / "InRelease", suite / "Release")
    run([*gpg, *sign])


def make_plugin(pool: Path, program: str) -> None:
    """Make the package of a plugin that is this program."""
    tree = pool / "plugin"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: docker-compose-plugin\nVersion: 2.40.0-1\nArchitecture: amd64\n"
        "Maintainer: test <test@example.com>\nDescription: stand-in\n"
    )
    file = tree / "usr" / "libexec" / "docker" / "cli-plugins" / "docker-compose"
    file.parent.mkdir(parents=True)
    file.write_text(program)
    file.chmod(0o755)
    package = pool / "docker-compose-plugin.deb"
    run(["dpkg-deb", "--root-owner-group", "--build", tree, package])


def describe_package(package: Path) -> str:
    """Return the entry of a package in the index of a repository."""
    control = run(["dpkg-deb", "--field", package]).strip()
    place = f"Filename: pool/{package.name}\nSize: {package.stat().st_size}"
    return f"{control}\n{place}\nSHA256: {sha256(package.read_bytes()).hexdigest()}\n"


def make_tree(release: str) -> Path:
    """Return the folder with a bare system of this release, made the first time."""
    tree = TREES / release
    if not (tree / "made").exists():
        shutil.rmtree(tree, ignore_errors=True)
        tree.parent.mkdir(parents=True, exist_ok=True)
        program = find_program("debootstrap", "debootstrap")
        options = ("--variant=minbase", f"--include={PACKAGES}")
        run([program, *options, release, tree])  # from its own default mirror
        (tree / "made").touch()
    return tree


def find_control_groups() -> Path:
    """Return the folder of the control groups, version 2."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next(Path(mount[1]) for mount in mounts if mount[2] == "cgroup2")


def own_network(pid: int) -> bool:
    """Tell whether a process is in another network than this one."""
    networks = {Path(f"/proc/{owner}/ns/net").readlink() for owner in (pid, "self")}
    return len(networks) == 2


def listen(pid: int, port: int) -> socket.socket:
    """Return a socket that listens in the network of another process."""
    listeners = []

    def enter() -> None:  # in a thread, which alone changes its network
        with Path(f"/proc/{pid}/ns/net").open() as network:
            os.setns(network.fileno(), os.CLONE_NEWNET)
        listeners.append(socket.create_server(("", port), backlog=64))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return listeners[0]


def check(result: subprocess.CompletedProcess) -> None:
    assert result.returncode == 0, result.stdout + result.stderr
