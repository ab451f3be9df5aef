"""Whole projects in production mode, in trouble: one file a promise, each of which prints its figure."""

import pytest


def _projects(*names: str):
    # One worker of the test run keeps the projects of an interface, and the servers that a drill may stop, to itself.
    groups = {
        name: pytest.mark.xdist_group(f"drill {name.partition(' ')[0]}")
        for name in names
    }
    params = [
        pytest.param(name, id=name, marks=group) for name, group in groups.items()
    ]
    return pytest.mark.parametrize("project", params, indirect=True, scope="session")


both_interfaces = _projects("wsgi", "asgi")
every_interface_and_server = _projects("wsgi", "asgi", "wsgi mysql", "asgi mysql")
only_wsgi = _projects("wsgi")
only_asgi = _projects("asgi")
only_sqlite = _projects("wsgi sqlite")
