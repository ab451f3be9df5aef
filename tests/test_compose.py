"""compose.yaml: the servers for development, on loopback only, started for real by Docker Compose."""

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
SERVERS = {  # by answer
    "postgresql": "postgresql",
    "mysql": "mysql",
    "redis": "redis",
    "memcached": "memcached",
    "celery": "redis",
}
IMAGES = ["postgres:18", "redis:8"]

# No ports and no network: the developer may have these servers running.
APART = """
services:
  postgresql: {network_mode: none, ports: !reset []}
  redis: {network_mode: none, ports: !reset []}
"""


@pytest.mark.parametrize("answers", COMBINATIONS, ids=describe)
def test_serves_what_was_chosen_and_to_this_machine_only(bake, answers):
    project = bake(**answers).path
    expected = {SERVERS[answer] for answer in answers.values() if answer in SERVERS}
    assert (project / "compose.yaml").exists() == bool(expected)
    if not expected:
        return

    plan = json.loads(
        run(find_docker(), "compose", "config", "--format=json", cwd=project).stdout
    )

    assert set(plan["services"]) == expected
    for name, service in plan["services"].items():
        assert [port["host_ip"] for port in service["ports"]] == ["127.0.0.1"]
        kept = [("volume", name)] if name != "memcached" else []
        assert [
            (volume["type"], volume["source"]) for volume in service.get("volumes", [])
        ] == kept
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("database", ["postgresql", "mysql"])
def test_asks_for_the_password(bake, database):
    answer = run(
        *(find_docker(), "compose", "--env-file=/dev/null", "config", "--quiet"),
        cwd=bake(database=database).path,
        check=False,
    )

    assert answer.returncode
    assert (
        f"{database.upper().replace('POSTGRESQL', 'POSTGRES')}_PASSWORD"
        in answer.stderr
    )


def test_starts_healthy_and_keeps_its_data(tmp_path):
    get_images()
    project = Project.bake(tmp_path).path
    apart = tmp_path / "apart.yaml"
    apart.write_text(APART)

    def compose(*arguments: str) -> str:
        name = f"--project-name={project.name}-{token}"
        return run(
            find_docker(),
            "compose",
            "--file=compose.yaml",
            f"--file={apart}",
            name,
            *arguments,
            cwd=project,
        ).stdout

    def query(sql: str) -> str:
        login = 'PGPASSWORD=$POSTGRES_PASSWORD psql --host=127.0.0.1 --username=postgres --tuples-only --no-align "$@"'
        return compose(
            "exec",
            "-T",
            "postgresql",
            "sh",
            "-c",
            login,
            "psql",
            f"--command={sql}",
            project.name,
        ).strip()

    token = secrets.token_hex(4)
    try:
        compose("up", "--detach", "--wait", "--quiet-pull")
        query("CREATE TABLE kept AS SELECT 1")
        assert compose("exec", "-T", "redis", "redis-cli", "ping").strip() == "PONG"

        compose("down")
        compose("up", "--detach", "--wait")

        assert query("SELECT * FROM kept") == "1"
    finally:
        compose("down", "--volumes")


def get_images() -> None:
    """Stand-ins where no registry is in reach; else Compose pulls what is missing."""
    tool = TEMPLATE.parent / "shared" / "tools" / "docker-engine"
    find_docker()
    for image in IMAGES:
        if tool.exists() and docker("image", "inspect", image, check=False).returncode:
            run(tool, "stand-in", image, cwd=TEMPLATE)
