"""Finds interpreters as scripts/setup does: on PATH, in pyenv's folders, or fetched by uv."""

import json
import os
from pathlib import Path

from tests.bakery import TEMPLATE, clean_environment, run

OLDEST = "3.12"
NEWEST = f">={OLDEST}"


def find_python(version: str) -> str:
    """Return the newest interpreter of a version that uv understands, or fail and say what to install."""
    found = list_pythons(version)
    if not found:
        run("uv", "python", "install", "--quiet", version, cwd=TEMPLATE, check=False)
        found = list_pythons(version)
    assert found, (
        f"Python {version} is needed and uv could not fetch one: install it and try again"
    )
    return max(found)[1]


def list_pythons(version: str) -> list[tuple[list[int], str]]:
    """Return the version and the path of each installed CPython that is released."""
    # uv does not look into pyenv's folders by itself.
    folders = [
        clean_environment()["PATH"],
        *map(str, Path.home().glob(".pyenv/versions/*/bin")),
    ]
    command = (
        "uv",
        "python",
        "list",
        version,
        "--only-installed",
        "--output-format",
        "json",
    )
    listed = run(*command, cwd=TEMPLATE, env={"PATH": os.pathsep.join(folders)}).stdout
    return [
        (list(python["version_parts"].values()), python["path"])
        for python in json.loads(listed)
        if (python["implementation"], python["variant"]) == ("cpython", "default")
        and python["version"].replace(".", "").isdigit()
    ]
