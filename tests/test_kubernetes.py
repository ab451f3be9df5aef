"""deploy/kubernetes/: manifests for each answer that changes them, and the commands."""

import base64
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from allpairspy import AllPairs

from tests.bakery import CHOICES, Project, describe, is_accepted, run
from tests.services import Process, free_port
from tests.services.kubernetes import COMPONENT, Cluster
from tests.services.process import find_program
from tests.test_image import docker

# The bakes, the cluster and the registry are shared.
pytestmark = pytest.mark.xdist_group("kubernetes")

QUESTIONS = ("interface", "database", "cache", "media_storage", "task_queue", "metrics")
ANSWERS = [
    [
        answer
        for answer in CHOICES[question]
        if is_accepted({"deployment": "kubernetes", question: answer})
    ]
    for question in QUESTIONS
]
# Every pair of answers that changes the manifests is in one of these.
COMBINATIONS = [dict(zip(QUESTIONS, row, strict=True)) for row in AllPairs(ANSWERS)]
FULL = {"task_queue": "celery", "metrics": "prometheus"}
FOLDER = "deploy/kubernetes"
VERSION = "app.kubernetes.io/version"
DIGEST = "sha256:" + "0" * 64
RELEASED = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../{env}]
images:
  - {{ name: app, newName: registry.test/app, digest: "{digest}" }}
  - {{ name: registry.example.net/team/my_project-backup, digest: "{digest}" }}
"""
# Findings of checkov, and the answers to them.
ANSWERED = {
    "CKV_K8S_35": "The environment is the project's contract: one Secret, read once.",
    "CKV_K8S_8": "A backup that is too old is not cured by a new start: see readiness.",
    "CKV_K8S_9": "As above: the container beside it has no probe.",
}
# A small image, in place of the project's.
DOCKERFILE = """
FROM scratch
ARG RELEASE
LABEL release=$RELEASE
COPY manage.py .
"""
GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@shop.test")


@pytest.mark.parametrize("answers", COMBINATIONS, ids=describe)
def test_manifests_are_valid_and_restricted(bake, tmp_path, answers):
    project = bake(deployment="kubernetes", **answers)
    queue = answers["task_queue"]
    expected = {"web", "migrate"}
    expected |= {"worker"} if queue != "none" else set()
    expected |= {"beat"} if queue == "celery" else {"cleaning"}

    for env in ("production", "staging"):
        manifests = render(project.path, tmp_path, env)
        pods = dict(list_pods(manifests))
        assert set(pods) == expected | ({"backup"} if env == "production" else set())
        for name, pod in pods.items():
            check_pod(pod, name)
        for item in manifests:
            kubernetes_validate.validate(item, "1.37", strict=True)


def check_pod(pod: dict, name: str) -> None:
    """Assert the restricted profile, and the limits of each container and folder."""
    assert not pod["automountServiceAccountToken"], name
    assert not pod["enableServiceLinks"], name
    assert pod["securityContext"]["runAsNonRoot"], name
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for container in pod["containers"]:
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"], name
        assert not rights["allowPrivilegeEscalation"], name
        assert rights["capabilities"] == {"drop": ["ALL"]}, name
        assert {*container["resources"]["requests"]} == {"cpu", "memory"}, name
        assert {*container["resources"]["limits"]} == {"cpu", "memory"}, name
        assert container["image"].endswith(f"@{DIGEST}"), name
    for volume in pod["volumes"]:
        if "emptyDir" in volume:
            assert volume["emptyDir"]["sizeLimit"], name


def test_settings_are_one_for_each_environment(bake, tmp_path):
    project = bake(deployment="kubernetes").path
    hosts, names, namespaces = set(), set(), set()
    for env in ("production", "staging"):
        manifests = render(project, tmp_path, env)
        (ingress,) = (item for item in manifests if item["kind"] == "Ingress")
        (settings,) = (item for item in manifests if item["kind"] == "ConfigMap")
        (rule,) = ingress["spec"]["rules"]
        assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
        assert settings["data"]["DJANGO_ALLOWED_HOSTS"] == rule["host"]
        hosts.add(rule["host"])
        names.add(settings["metadata"]["name"])
        namespaces |= {item["metadata"]["namespace"] for item in manifests}
        namespace = yaml.safe_load((project / FOLDER / env / "namespace.yaml").open())
        assert namespace["metadata"]["name"] in namespaces
    assert hosts == {"example.com", "staging.example.com"}
    assert namespaces == {"my-project", "my-project-staging"}
    assert len(names) == 2


def test_a_namespace_has_no_sign_that_a_cluster_refuses(bake):
    project = bake(deployment="kubernetes", project_slug="my_1st_shop__").path
    namespace = yaml.safe_load((project / FOLDER / "production/namespace.yaml").open())
    assert namespace["metadata"]["name"] == "my-1st-shop"


def test_checkov_finds_nothing_without_an_answer(bake, tmp_path):
    for number, answers in enumerate(COMBINATIONS):
        folder = tmp_path / str(number)
        render(bake(deployment="kubernetes", **answers).path, folder, "production")
    checkov = ("uv", "tool", "run", "--quiet", "--from", "checkov==3.3.30", "checkov")
    options = ("--framework", "kubernetes", "--skip-download", "--compact", "--quiet")
    where = ("--skip-check", ",".join(ANSWERED), "--file")
    files = sorted(tmp_path.glob("*/*.yaml"))
    assert len(files) == len(COMBINATIONS)
    result = run(*checkov, *options, *where, *files, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_instance_has_time_to_drain(bake, tmp_path):
    project = bake(deployment="kubernetes", **FULL).path
    pods = dict(list_pods(render(project, tmp_path, "production")))
    (web,) = pods["web"]["containers"]
    command = web["lifecycle"]["preStop"]["exec"]["command"][-1]
    pause = int(re.fullmatch(r"touch /tmp/draining && sleep (\d+)", command)[1])
    server = (project / "config" / "server.py").read_text()
    graceful = int(re.search(r'"GRACEFUL_TIMEOUT", default=(\d+)', server)[1])
    assert pause + graceful + 5 <= pods["web"]["terminationGracePeriodSeconds"]
    # By then the proxies know from the probe, if they have not been told before.
    probe = web["readinessProbe"]
    assert pause >= probe["periodSeconds"] * probe["failureThreshold"]
    celery = (project / "config" / "celery.py").read_text()
    limit = int(re.search(r"task_time_limit=(\d+)", celery)[1])
    assert limit + 30 + 10 <= pods["worker"]["terminationGracePeriodSeconds"]


@pytest.fixture(scope="module")
def team(tmp_path_factory) -> "Team":
    """Yield a project, a cluster and a registry, after the first release."""
    folder = tmp_path_factory.mktemp("team")
    project = Project.bake(folder, deployment="kubernetes", ci="none", **FULL)
    project.sync()
    (project.path / "Dockerfile").write_text(DOCKERFILE)
    with Cluster(folder / "cluster") as cluster, registry(folder) as address:
        team = Team(project, cluster, address)
        team.commit()
        secret = team.just("secrets", stdin="DJANGO_SECRET_KEY=hidden\n")
        team.told = secret.stdout + secret.stderr
        team.first = team.just("deploy")
        yield team
        of_tests = f"--filter=reference={address}/shop"
        images = docker("image", "ls", "--quiet", of_tests).stdout.split()
        docker("image", "rm", "--force", *images)


@contextmanager
def registry(folder: Path):
    port = free_port()
    storage = {"filesystem": {"rootdirectory": str(folder / "images")}}
    settings = {"version": 0.1, "storage": storage}
    settings["http"] = {"addr": f"127.0.0.1:{port}"}
    file = folder / "registry.yml"
    file.write_text(yaml.safe_dump(settings))
    program = find_program("docker-registry", "docker-registry")
    with Process([program, "serve", file], folder, name="registry") as process:
        process.wait_for(lambda: "listening on" in process.log, 30, "it listens")
        yield f"127.0.0.1:{port}"


class Team:
    """What the team of a project does with its cluster."""

    def __init__(self, project: Project, cluster: Cluster, address: str) -> None:
        self.project = project
        self.cluster = cluster
        self.env = {"KUBECONFIG": str(cluster.config)}
        settings = project.path / FOLDER / "production" / "settings.env"
        text = settings.read_text().replace("KUBE_CONTEXT=", "KUBE_CONTEXT=test")
        settings.write_text(re.sub(r"(?m)^IMAGE=.*", f"IMAGE={address}/shop", text))

    def commit(self) -> str:
        """Commit a change of the image; return the name of the release."""
        path = self.project.path
        with (path / "manage.py").open("a") as file:
            file.write("\n")
        run("git", "add", "--all", cwd=path)
        run(*GIT, "commit", "--quiet", "--message", "Change", cwd=path)
        return run("git", "describe", "--always", cwd=path).stdout.strip()

    def just(self, *arguments: str, stdin: str = "", check: bool = True, **env: str):
        just = self.project.path / ".venv" / "bin" / "just"
        options = {"cwd": self.project.path, "env": self.env | env, "check": check}
        self.cluster.changes.clear()
        self.cluster.commands.clear()
        return run(just, *arguments, input=stdin, timeout=120, **options)

    def fails(self, *arguments: str) -> str:
        result = self.just(*arguments, check=False)
        assert result.returncode != 0, result.stdout + result.stderr
        return result.stderr

    def add_backups(self) -> None:
        """Put there what the component for backups adds."""
        labels = {COMPONENT: "backup"}
        template: dict = {"metadata": {"labels": labels}}
        template["spec"] = {"containers": [{"name": "backup"}, {"name": "rehearsal"}]}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        item = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
        item["metadata"] = {"name": "backup", "labels": labels}
        self.cluster.put("deployments", "my-project", item)

    def kubectl(self, *arguments: str) -> str:
        """Return what kubectl says in production."""
        command = self.project.path / FOLDER / "kubectl"
        return run(command, *arguments, cwd=self.project.path, env=self.env).stdout

    def versions(self) -> set[str]:
        """Return the releases of the pods that the Deployments ask for."""
        items = self.cluster.find("deployments", "my-project")
        assert len(items) == 3
        pods = [item["spec"]["template"] for item in items]
        return {pod["metadata"]["labels"][VERSION] for pod in pods}


def test_secrets_reach_the_cluster_and_no_output(team):
    assert "hidden" not in team.told
    (secret,) = team.cluster.find("secrets", "my-project")
    value = base64.b64decode(secret["data"]["DJANGO_SECRET_KEY"])
    assert (secret["metadata"]["name"], value) == ("secrets", b"hidden")


def test_a_release_migrates_and_then_replaces_workers_and_instances(team):
    before = team.versions()
    release = team.commit()
    team.just("deploy")
    changes = team.cluster.changes
    names = ("jobs/migrate", "deployments/worker", "deployments/beat")
    order = [changes.index(f"create {names[0]}")]
    order += [
        changes.index(f"change {name}") for name in (*names[1:], "deployments/web")
    ]
    assert order == sorted(order)
    assert team.versions() == {release} != before
    for item in team.cluster.find("deployments", "my-project"):
        image = item["spec"]["template"]["spec"]["containers"][0]["image"]
        assert re.fullmatch(r"127\.0\.0\.1:\d+/shop@sha256:[0-9a-f]{64}", image)
    assert not list((team.project.path / FOLDER).glob("release-*"))
    history = team.kubectl("rollout", "history", "deployment/web")
    assert f"{release} by " in history

    team.just("rollback")
    assert team.versions() == before


def test_a_release_that_is_built_elsewhere_is_not_built_again(team):
    (before,) = team.versions()
    team.commit()
    team.just("deploy")
    assert team.versions() != {before}
    (team.project.path / "Dockerfile").write_text("FROM nothing\n")
    team.just("deploy", RELEASE=before)
    (team.project.path / "Dockerfile").write_text(DOCKERFILE)
    assert team.versions() == {before}


@pytest.mark.parametrize("component", ["migrate", "worker", "web"])
def test_a_release_that_fails_leaves_the_one_before(team, component):
    before = team.versions()
    release = team.commit()
    team.cluster.failing = {component}
    told = team.fails("deploy")
    team.cluster.failing = set()
    assert f"log of {component}-pod" in told
    step = "migrate" if component == "migrate" else f"replace {component}"
    assert f"{release} failed at: {step}." in told
    assert team.versions() == before
    if component == "migrate":
        assert not [line for line in team.cluster.changes if "deployments" in line]


def test_what_keeps_a_job_from_starting_is_said(team):
    team.cluster.waiting = {"migrate"}
    told = team.fails("deploy")
    team.cluster.waiting = set()
    assert 'CreateContainerConfigError: secret "secrets" not found' in told


def test_commands_reach_the_pod_that_they_are_for(team):
    team.add_backups()
    python = "python manage.py"
    expected = {
        "shell": [("web", f"env DJANGO_READ_ONLY=true {python} shell")],
        "shell --write": [("web", f"env DJANGO_READ_ONLY= {python} shell")],
        "env=production manage check --deploy": [("web", f"{python} check --deploy")],
        "env=production doctor --json": [("web", f"{python} doctor --json")],
        "dbshell": [("backup", "bash -c . database.sh && open_shell")],
        "backup": [("backup", "backup now")],
        "restore-drill": [("backup", "backup drill")],
        "restore --yes my_project abc": [
            ("backup", "backup restore abc"),
            (
                "web",
                f"{python} shell --command "
                "from django.core.cache import cache; cache.clear()",
            ),
        ],
    }
    for command, commands in expected.items():
        team.just(*command.split())
        named = [(f"{name}-pod", line) for name, line in commands]
        assert team.cluster.commands == named, command
    assert "log of web-pod" in team.just("logs").stdout
    assert "log of migrate-pod" in team.just("logs", "migrate").stdout
    assert "deployment.apps/worker" in team.just("status").stdout
    told = team.just("restore", stdin="yes\nanother\n", check=False)
    assert told.returncode == 2
    assert "Nothing was changed." in told.stderr
    assert [line for _, line in team.cluster.commands] == ["backup list"]
    team.commit()
    team.just("deploy")
    assert team.cluster.commands == [("backup-pod", "backup now")]


def test_a_dry_run_changes_nothing(team):
    team.cluster.changes.clear()
    overlay = f"{FOLDER}/production"
    told = team.kubectl("apply", "--dry-run=client", "--kustomize", overlay)
    assert "ingress.networking.k8s.io/web configured (dry run)" in told
    told = team.kubectl("rollout", "undo", "--dry-run=client", "deployment/web")
    assert "Pod Template:" in told
    assert team.cluster.changes == []


def test_another_environment_has_another_namespace(team):
    team.just("env=staging", "secrets", stdin="A=b\n")
    (secret,) = team.cluster.find("secrets", "my-project-staging")
    assert secret["metadata"]["namespace"] == "my-project-staging"
    told = team.fails("env=trial", "deploy")
    assert "There is no deploy/kubernetes/trial: copy deploy/kubernetes/pro" in told


def render(project: Path, folder: Path, env: str) -> list[dict]:
    """Return what a release applies, with backups in production; keep the text."""
    here = folder / env
    shutil.copytree(project / FOLDER, here)
    production = here / "production" / "kustomization.yaml"
    lines = "# components:\n#   - ../backup\n"
    assert lines in production.read_text()
    text = production.read_text().replace(lines, lines.replace("# ", ""))
    production.write_text(text.replace("#  ", "  "))
    release = here / "release-test" / "kustomization.yaml"
    release.parent.mkdir()
    release.write_text(RELEASED.format(env=env, digest=DIGEST))
    output = run("kubectl", "kustomize", release.parent, cwd=here).stdout
    (folder / f"{env}.yaml").write_text(output)
    return list(yaml.safe_load_all(output))


def list_pods(manifests: list[dict]):
    """Yield the name and the specification of each kind of pod."""
    for item in manifests:
        spec = item.get("spec", {})
        spec = spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec
        if "template" in spec:
            yield item["metadata"]["name"], spec["template"]["spec"]
