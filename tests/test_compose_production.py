"""compose.production.yaml, as Compose reads it, for each answer that changes it."""

import json
import re

import pytest
from allpairspy import AllPairs

from tests.bakery import CHOICES, describe, run
from tests.test_image import find_docker

pytestmark = pytest.mark.xdist_group("docker")

PROXIES = ("caddy", "nginx")
QUESTIONS = ("interface", "database", "cache", "media_storage", "task_queue", "metrics")
# Every pair of answers that changes the file is in one of these.
COMBINATIONS = [
    dict(zip(("deployment", *QUESTIONS), row, strict=True))
    for row in AllPairs([PROXIES, *(CHOICES[question] for question in QUESTIONS)])
]
JOBS = {"dbshell", "files", "manage", "migrate", "static"}
BACKUPS = {"backup", "rehearsal"}


@pytest.mark.parametrize("answers", COMBINATIONS, ids=describe)
def test_production_runs_what_was_chosen(bake, answers):
    project = bake(**answers)
    chosen = project.answers
    queue = chosen["task_queue"]
    expected = {"proxy", "app-blue", "app-green"}
    expected |= {"worker-blue", "worker-green"} if queue != "none" else set()
    expected |= {"beat", "broker"} if queue == "celery" else set()
    expected |= {"database"} if chosen["database"] != "sqlite" else set()
    expected |= {"cache"} if chosen["cache"] != "database" else set()
    expected |= {"certbot"} if chosen["deployment"] == "nginx" else set()

    plan = read_plan(project.path)
    services = plan["services"]

    assert set(services) == expected
    everything = read_plan(project.path, "--profile=*")["services"]
    assert set(everything) == expected | JOBS | BACKUPS
    for name, service in everything.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert int(service["mem_limit"]) > 0, name
        assert re.search(r"[-:](v?\d|none)|-(proxy|backup)$", service["image"]), name
        for volume in service.get("volumes", []):
            assert volume["type"] == "volume", name
        if name in services:
            assert service["restart"] == "always", name
            assert not service["healthcheck"].get("disable"), name
        if name != "proxy":
            assert not service.get("ports"), name
    ports = [port["published"] for port in services["proxy"]["ports"]]
    assert ports == ["80", "443"]
    if "database" in services:
        apart = services["proxy"]["networks"].keys()
        assert not apart & services["database"]["networks"].keys()


@pytest.mark.parametrize("proxy", PROXIES)
def test_scripts_of_the_server_are_sound(bake, proxy):
    rows = zip(CHOICES["task_queue"], CHOICES["database"], strict=True)
    for queue, database in rows:
        folder = bake(deployment=proxy, task_queue=queue, database=database).path
        scripts = sorted(folder.glob("deploy/server/*"))
        options = ("--external-sources", "--source-path=deploy/backup")
        backup = folder / "deploy" / "backup" / "backup"
        run("shellcheck", *options, *scripts, backup, cwd=folder)
        lines = [
            line
            for script in scripts
            if script.name != "setup"  # which has a limit of its own
            for line in script.read_text().splitlines()
            if line.strip() and not line.strip().startswith("#")
        ]
        assert len(lines) <= 280


def read_plan(folder, *options: str):
    command = ("deploy/server/compose", *options, "config", "--format=json")
    find_docker()
    return json.loads(run(*command, cwd=folder, env={"RELEASE": "4f2a"}).stdout)
