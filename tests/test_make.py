"""The target that a newcomer runs first."""

from tests.bakery import TEMPLATE, run


def test_demo_proves_the_default_project():
    output = run("make", "demo", cwd=TEMPLATE).stdout
    assert "System check identified no issues (0 silenced)." in output
    assert "Start it with: make serve" in output
