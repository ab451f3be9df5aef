"""Drills: failures and attacks on projects in production, one file for each promise."""

import pytest


def _projects(*names: str, long: tuple[str, ...] = ()):
    # A drill may stop servers, so one test worker runs all projects of an interface.
    params = []
    for name in names:
        marks = [pytest.mark.xdist_group(f"drill {name.partition(' ')[0]}")]
        marks += [pytest.mark.long] if name in long else []
        params.append(pytest.param(name, id=name, marks=marks))
    return pytest.mark.parametrize("project", params, indirect=True, scope="session")


both_interfaces = _projects("wsgi", "asgi")
with_accounts = _projects("wsgi accounts", "asgi accounts", long=("asgi accounts",))
every_interface_and_server = _projects("wsgi", "asgi", "wsgi mysql", "asgi mysql")
only_wsgi = _projects("wsgi")
only_asgi = _projects("asgi")
every_server = _projects("wsgi", "wsgi mysql", "wsgi sqlite")
only_sqlite = _projects("wsgi sqlite")
