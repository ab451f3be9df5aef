"""Projects pass their own tests on the oldest supported Python and on the newest."""

import re

import pytest

from tests.bakery import Project, run
from tests.pythons import NEWEST, OLDEST, find_python

# Together they install the packages of most answers. MySQL is left out: each Python
# would have to compile its driver.
BAKES = {
    "wsgi": {"task_queue": "celery", "api": "drf", "metrics": "prometheus"},
    "asgi": {
        "database": "sqlite",
        "cache": "memcached",
        "media_storage": "azure",
        "task_queue": "database",
        "api": "ninja",
        "metrics": "opentelemetry",
        "login": "email",
    },
}


@pytest.mark.parametrize("interface", BAKES)
@pytest.mark.parametrize("version", [OLDEST, NEWEST], ids=["oldest", "newest"])
def test_bake_passes_its_own_tests(tmp_path, version, interface):
    project = Project.bake(tmp_path, interface=interface, **BAKES[interface])
    project.python = find_python(version)

    project.sync()

    versions = [
        run(python, "-V", cwd=tmp_path).stdout
        for python in (project.path / ".venv/bin/python", project.python)
    ]
    assert versions[0] == versions[1]
    output = project.execute("pytest", "--quiet").stdout
    assert re.search(r"^[1-9]\d+ passed in ", output, re.M)


def test_python_that_cannot_be_had_is_named():
    advice = r"Python 3\.99 is needed and uv could not fetch one: install it"
    with pytest.raises(AssertionError, match=advice):
        find_python("3.99")
