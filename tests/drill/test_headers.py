"""Headers: graded by Mozilla's HTTP Observatory.

The scanner accepts only public names and the ports 80 and 443, so it runs in a network
namespace. There shop.test is a Caddy with the project's own file, which reaches the
instance outside through a Unix socket.
"""

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.bakery import TEMPLATE
from tests.drill import both_interfaces, only_wsgi
from tests.services import NotInstalledError, Process
from tests.services.caddy import run_caddy
from tests.services.process import find_program, run

OBSERVATORY = TEMPLATE / "build/observatory/node_modules/@mdn/mdn-http-observatory"

OUTSIDE = """
{{
    admin off
    auto_https off
}}
http:// {{
    bind unix/{socket}
    reverse_proxy 127.0.0.1:{port} {{
        header_up X-Forwarded-Proto https
    }}
}}
"""
SCAN = """
set -e
ip link set lo up
mount --bind {hosts} /etc/hosts
{caddy} >{folder}/inside.log 2>&1 &
caddy=$!
trap 'kill $caddy' EXIT
ready=0
while [ $ready -lt 200 ] && ! [ -e {root} ]; do sleep 0.05; ready=$((ready + 1)); done
NODE_EXTRA_CA_CERTS={root} {node} {scanner} shop.test
"""
# The last step of the guide for HTTPS.
RAMPED_UP = {"DJANGO_SECURE_HSTS_SECONDS": "31536000"}


@both_interfaces
def test_grade_is_a_plus(project, env, start, report, tmp_path):
    report(drill(start(project, env | RAMPED_UP), tmp_path / "scan"))


@only_wsgi
def test_grade_is_a_plus_before_hsts_is_raised(project, env, start, tmp_path):
    scan = observe(start(project, env), tmp_path / "scan")
    assert scan["scan"]["grade"] == "A+"
    assert failures(scan) == ["strict-transport-security"]


@only_wsgi
def test_inline_scripts_are_noticed(project, env, start, break_promise, tmp_path):
    broken = break_promise(
        "config/settings/base.py",
        '"script-src": [CSP.SELF, CSP.NONCE]',
        '"script-src": [CSP.SELF, CSP.UNSAFE_INLINE]',
    )
    with pytest.raises(AssertionError, match="content-security-policy"):
        drill(start(broken, env | RAMPED_UP), tmp_path / "scan")


def drill(instance, folder: Path) -> str:
    scan = observe(instance, folder)
    assert not failures(scan), ", ".join(failures(scan))
    assert scan["scan"]["grade"] == "A+"
    return f"A+, {scan['scan']['score']} points, {len(scan['tests'])} tests passed"


def failures(scan: dict) -> list[str]:
    return [name for name, test in scan["tests"].items() if not test["pass"]]


def observe(instance, folder: Path) -> dict:
    """Return the scanner's report on an instance."""
    inside, outside = folder / "inside", folder / "outside"
    for place in (inside, outside):
        place.mkdir(parents=True)
    socket = outside / "socket"
    caddyfile = outside / "Caddyfile"
    caddyfile.write_text(OUTSIDE.format(socket=socket, port=instance.port))
    (folder / "hosts").write_text("127.0.0.1 localhost shop.test\n")
    caddy = run_caddy(
        instance.project.path / "deploy" / "caddy" / "Caddyfile",
        inside,
        CADDY_GLOBAL_OPTIONS="local_certs\nskip_install_trust",
        DOMAIN="shop.test",
        APP_UPSTREAMS=f"unix/{socket}",
    )
    script = SCAN.format(
        hosts=folder / "hosts",
        caddy=shlex.join(map(str, caddy)),
        folder=folder,
        root=inside / "caddy" / "pki" / "authorities" / "local" / "root.crt",
        node=find_program("node", "nodejs"),
        scanner=find_scanner(),
    )
    with Process(run_caddy(caddyfile, outside), outside, name="caddy") as proxy:
        proxy.wait_for(socket.exists, 10, "the socket for the other network")
        unshare = [find_program("unshare", "util-linux"), "--net", "--mount"]
        if os.geteuid() != 0:
            unshare.append("--map-root-user")
        return json.loads(run([*unshare, "sh", "-c", script], timeout=60))


def find_scanner() -> Path:
    if not OBSERVATORY.exists():
        raise NotInstalledError("HTTP Observatory is not installed: scripts/servers")
    return OBSERVATORY / "src" / "scan.js"
