"""Find interpreters as scripts/setup does: on PATH, in pyenv's folders, or with uv."""

import json
import os
from pathlib import Path

from tests.bakery import TEMPLATE, clean_environment, run

OLDEST = "3.12"
NEWEST = f">={OLDEST}"


def find_python(version: str) -> str:
    """Return the newest interpreter of a version (uv's syntax); fetch it if needed."""
    found = list_pythons(version)
    if not found:
        run("uv", "python", "install", "--quiet", version, cwd=TEMPLATE, check=False)
        found = list_pythons(version)
    advice = "uv could not fetch one: install it and try again"
    assert found, f"Python {version} is needed and {advice}"
    return max(found)[1]


def list_pythons(version: str) -> list[tuple[list[int], str]]:
    """Return the version and the path of each installed release of CPython."""
    # uv does not look into pyenv's folders.
    pyenv = map(str, Path.home().glob(".pyenv/versions/*/bin"))
    env = {"PATH": os.pathsep.join([clean_environment()["PATH"], *pyenv])}
    options = ["--only-installed", "--output-format", "json"]
    listed = run("uv", "python", "list", version, *options, cwd=TEMPLATE, env=env)
    return [
        (list(python["version_parts"].values()), python["path"])
        for python in json.loads(listed.stdout)
        if (python["implementation"], python["variant"]) == ("cpython", "default")
        and python["version"].replace(".", "").isdigit()
    ]
