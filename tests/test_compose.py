"""compose.yaml: servers for development, on loopback only, run by Docker Compose."""

import json
import secrets

import pytest

from tests.bakery import CHOICES, TEMPLATE, Project, describe, run
from tests.test_image import docker, find_docker

pytestmark = pytest.mark.xdist_group("docker")

COMBINATIONS = [
    {"database": d, "cache": c} for d in CHOICES["database"] for c in CHOICES["cache"]
]
COMBINATIONS.append({"database": "sqlite", "cache": "database", "task_queue": "celery"})
# By answer.
SERVERS = {name: name for name in ("postgresql", "mysql", "redis", "memcached")}
SERVERS["celery"] = "redis"
IMAGES = ["postgres:18", "redis:8"]
SERVICES = ["postgresql", "redis"]

# No ports and no network, because the developer may run the same servers.
APART = """
services:
  postgresql: {network_mode: none, ports: !reset []}
  redis: {network_mode: none, ports: !reset []}
"""
PSQL = (
    "PGPASSWORD=$POSTGRES_PASSWORD psql --host=127.0.0.1 --username=postgres "
    '--tuples-only --no-align "$@"'
)


@pytest.mark.parametrize("answers", COMBINATIONS, ids=describe)
def test_services_are_those_chosen_and_listen_on_loopback_only(bake, answers):
    project = bake(**answers).path
    expected = {SERVERS[answer] for answer in answers.values() if answer in SERVERS}
    expected.add("mailpit")

    command = (find_docker(), "compose", "config", "--format=json")
    plan = json.loads(run(*command, cwd=project).stdout)

    assert set(plan["services"]) == expected
    for name, service in plan["services"].items():
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
        volumes = service.get("volumes", [])
        kept = [("volume", name)] if name not in ("memcached", "mailpit") else []
        assert [(volume["type"], volume["source"]) for volume in volumes] == kept
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize(
    ("database", "variable"),
    [("postgresql", "POSTGRES_PASSWORD"), ("mysql", "MYSQL_PASSWORD")],
)
def test_asks_for_the_password(bake, database, variable):
    command = (find_docker(), "compose", "--env-file=/dev/null", "config", "--quiet")
    answer = run(*command, cwd=bake(database=database).path, check=False)

    assert answer.returncode
    assert variable in answer.stderr


def test_starts_healthy_and_keeps_its_data(tmp_path):
    get_images()
    project = Project.bake(tmp_path).path
    apart = tmp_path / "apart.yaml"
    apart.write_text(APART)
    name = f"{project.name}-{secrets.token_hex(4)}"
    files = ("--file=compose.yaml", f"--file={apart}")

    def compose(*arguments: str) -> str:
        options = (*files, f"--project-name={name}")
        return run(find_docker(), "compose", *options, *arguments, cwd=project).stdout

    def query(sql: str) -> str:
        arguments = ("psql", f"--command={sql}", project.name)
        output = compose("exec", "-T", "postgresql", "sh", "-c", PSQL, *arguments)
        return output.strip()

    try:
        compose("up", "--detach", "--wait", "--quiet-pull", *SERVICES)
        query("CREATE TABLE kept AS SELECT 1")
        assert compose("exec", "-T", "redis", "redis-cli", "ping").strip() == "PONG"

        compose("down")
        compose("up", "--detach", "--wait", *SERVICES)

        assert query("SELECT * FROM kept") == "1"
    finally:
        compose("down", "--volumes")


def get_images() -> None:
    """Make stand-ins for images without a registry; else Compose pulls the images."""
    tool = TEMPLATE.parent / "shared" / "tools" / "docker-engine"
    find_docker()
    for image in IMAGES:
        if tool.exists() and docker("image", "inspect", image, check=False).returncode:
            run(tool, "stand-in", image, cwd=TEMPLATE)
