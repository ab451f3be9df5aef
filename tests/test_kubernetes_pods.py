"""The pods of deploy/kubernetes/ under Podman, with real servers.

Podman 4.3 runs of them: identity, capabilities, read-only root, volumes, the ConfigMap,
the Secret, commands and the end. Not: probes over HTTP (it asks by `curl`, which the
image lacks: the test asks them), preStop (the test runs it), volumes in memory and
their sizes, spread, NetworkPolicies, Jobs (the test runs one as a Pod), controllers.
"""

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml

from tests.bakery import Project, production_environment, run
from tests.services import free_port, wait_until
from tests.services.process import find_program
from tests.test_image import docker
from tests.test_kubernetes import FOLDER

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.long]

ANSWERS = {
    "deployment": "kubernetes",
    "media_storage": "none",
    "task_queue": "celery",
    "ci": "none",
}
# Without limits that a sandbox may not set.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Podman:
    """Podman with a store of its own, and the pods of a project."""

    def __init__(self, folder: Path, manifests: list[dict], image: str) -> None:
        self.folder = folder
        self.image = image
        self.named = {
            (item["kind"], item["metadata"]["name"].partition("-")[0]): item
            for item in manifests
        }
        (folder / "containers.conf").write_text(CONFIGURATION)
        find_program("catatonit", "catatonit")
        find_program("runc", "runc")
        stores = [f"--root={folder / 'root'}", f"--runroot={folder / 'run'}"]
        self.command = [find_program("podman", "podman"), *stores]
        archive = folder / "image.tar"
        docker("save", "--output", archive, image)
        self("load", "--quiet", "--input", archive)
        archive.unlink()

    def __call__(self, *arguments: str | Path, check: bool = True):
        env = {"CONTAINERS_CONF": str(self.folder / "containers.conf")}
        return run(*self.command, *arguments, cwd=self.folder, env=env, check=check)

    def spec(self, kind: str, name: str) -> dict:
        return self.named[kind, name]["spec"]["template"]["spec"]

    @contextmanager
    def play(self, kind: str, name: str, env: dict[str, str]) -> Iterator[str]:
        """Run the pod of a Deployment or Job; yield the name of its container."""
        template = json.loads(json.dumps(self.named[kind, name]["spec"]["template"]))
        spec = template["spec"]
        # Servers are on loopback. The rest is what Podman 4.3 does not know.
        spec["hostNetwork"] = True
        del spec["serviceAccountName"]
        spec.pop("topologySpreadConstraints", None)
        (container,) = spec["containers"]
        container |= {"image": f"docker.io/library/{self.image}"}
        container["imagePullPolicy"] = "Never"
        # Its own /dev/shm stays: a volume in memory would belong to root.
        container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
        spec["volumes"] = [one for one in spec["volumes"] if one["name"] == "tmp"]
        for field in ("ports", "startupProbe", "livenessProbe", "readinessProbe"):
            container.pop(field, None)
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = {"name": name, "labels": template["metadata"]["labels"]}
        settings = self.named["ConfigMap", "settings"]
        hidden = {name for name in env if name.endswith(("KEY", "URL"))}
        settings["data"] |= {name: env[name] for name in env.keys() - hidden}
        # A Secret of a manifest is stored here in a form that 4.3 cannot read again.
        values = {
            name: base64.b64encode(env[name].encode()).decode() for name in hidden
        }
        (self.folder / "secrets.json").write_text(json.dumps(values))
        self("secret", "create", "secrets", self.folder / "secrets.json")
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump_all([settings, pod]))
        self("play", "kube", file)
        try:
            yield f"{name}-app"
        except (AssertionError, TimeoutError):
            print(self("logs", f"{name}-app", check=False))
            raise
        finally:
            self("pod", "rm", "--force", "--time", "40", name)
            self("secret", "rm", "secrets")


@pytest.fixture(scope="module")
def podman(tmp_path_factory) -> Iterator[Podman]:
    folder = tmp_path_factory.mktemp("podman")
    project = Project.bake(folder, **ANSWERS)
    project.uv("lock", "--quiet")
    image = f"my-project-pods-{secrets.token_hex(4)}"
    docker("build", "--quiet", "--network=host", f"--tag={image}", project.path)
    overlay = project.path / FOLDER / "production"
    text = run("kubectl", "kustomize", overlay, cwd=folder).stdout
    podman = Podman(folder, list(yaml.safe_load_all(text)), image)
    yield podman
    podman("image", "rm", "--all", "--force")
    docker("image", "rm", "--force", image)


def test_pods_run_as_their_manifests_say(podman, services):
    env = production_environment(
        {"database": "postgresql", "cache": "redis", "task_queue": "celery"}
        | {"metrics": "none", "media_storage": "none"},
        services,
    )
    port = free_port()
    env |= {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": "2"}
    env["DJANGO_ALLOWED_HOSTS"] = "shop.test"
    (job,) = podman.spec("Job", "migrate")["containers"]
    assert "manage.py migrate" in job["command"][-1]
    # The doctor would ask for the name and the certificate of the site.
    doctor = "python manage.py doctor --fail-level ERROR --verbosity 0 && "
    assert doctor in job["command"][-1]
    job["command"][-1] = job["command"][-1].replace(doctor, "")
    with podman.play("Job", "migrate", env) as migrate:
        assert podman("wait", migrate).stdout.strip() == "0"

    with podman.play("Deployment", "web", env) as name:
        (web,) = podman.spec("Deployment", "web")["containers"]
        path = web["startupProbe"]["httpGet"]["path"]
        wait_until(lambda: ask(port, path) == 200, 60, "the start")
        for probe in ("livenessProbe", "readinessProbe"):
            assert ask(port, web[probe]["httpGet"]["path"]) == 200
        check_rights(podman, name)
        command = web["lifecycle"]["preStop"]["exec"]["command"]
        prestop = ("exec", name, *command)
        draining = subprocess.Popen([*podman.command, *prestop])
        ready = web["readinessProbe"]["httpGet"]["path"]
        wait_until(lambda: ask(port, ready) == 503, 8, "the drain")
        assert ask(port, path) == 200
        assert draining.wait(30) == 0
        podman("stop", "--time", "35", name)
        assert podman("inspect", name, "--format={{.State.ExitCode}}").stdout == "0\n"

    for kind in ("worker", "beat"):
        with podman.play("Deployment", kind, env) as name:
            (container,) = podman.spec("Deployment", kind)["containers"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                command = ("exec", name, *container[probe]["exec"]["command"])
                wait_until(
                    lambda command=command: (
                        not podman(*command, check=False).returncode
                    ),
                    60,
                    f"{probe} of {kind}",
                )
            check_rights(podman, name)


def check_rights(podman: Podman, name: str) -> None:
    """Assert who the process is, and where it can write."""
    status = podman("exec", name, "cat", "/proc/1/status", "/proc/self/status").stdout
    lines = [line.split(":\t", 1) for line in status.splitlines() if ":\t" in line]
    found = {key: {value for label, value in lines if label == key} for key, _ in lines}
    assert found["CapEff"] == {"0" * 16}
    assert found["NoNewPrivs"] >= {"1"}
    assert podman("exec", name, "id", "-u").stdout == "10001\n"
    for folder in ("/app", "/opt/venv", "/"):
        attempt = podman("exec", name, "touch", f"{folder}/new", check=False)
        assert attempt.returncode
    for folder in ("/tmp", "/dev/shm"):
        podman("exec", name, "touch", f"{folder}/new")


def ask(port: int, path: str) -> int:
    """Return the status that a probe gets, or 0 while nothing listens."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
