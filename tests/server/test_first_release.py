"""First release: from an empty server to a page over HTTPS with three commands.

docs/deploy.md has them: `just server-setup`, which another test runs, and two more.
"""

import json
import re
import ssl

import pytest

from tests.server.host import SITE
from tests.server.traffic import Connection, fetch
from tests.services import wait_until
from tests.services.certificate import Certificate

only_nginx = pytest.mark.sites("nginx wsgi", "nginx asgi")
STARTED = {
    "celery": {"beat-1", "broker-1", "worker-COLOUR-1"},
    "database": {"worker-COLOUR-1"},
    "none": set(),
}
NETWORKS = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
RIGHTS = """
    {{.Name}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}
    {{.HostConfig.CapAdd}} {{.HostConfig.SecurityOpt}} {{gt .HostConfig.Memory 0}}
    {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.LogConfig.Type}}
"""


def test_the_page_is_there_over_https_after_the_commands_of_the_guide(site, report):
    guide = (site.path / "docs" / "deploy.md").read_text()
    first = re.search(r"```sh\n(.*?)```", guide, re.DOTALL)[1].splitlines()
    assert [line.split()[1] for line in first] == ["server-setup", *site.output]
    wait_for_trust(site, site.root)
    plain = site.answer_of_port_80("/")
    assert (plain.status, plain.headers["Location"]) in {
        (status, f"https://{SITE}/") for status in (301, 308)
    }
    report(f"{len(first)} commands, one of them in a test of its own")


def wait_for_trust(site, authority) -> None:
    """Wait until the page comes with a certificate of this authority alone."""
    context = ssl.create_default_context(cafile=authority)

    def is_trusted() -> bool:
        connection = Connection(site.host, context=context)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    wait_until(is_trusted, 60, f"a page with a certificate of {authority.name}")


def test_browsers_may_speak_http_2(site):
    context = ssl.create_default_context(cafile=site.root)
    context.set_alpn_protocols(["h2", "http/1.1"])
    connection = Connection(site.host, context=context)
    connection.connect()
    assert connection.sock.selected_alpn_protocol() == "h2"
    connection.close()


def test_everything_is_healthy_and_nothing_else_runs(site):
    site.wait_for_health()
    expected = {"proxy-1", "app-COLOUR-1", "app-COLOUR-2", "database-1", "cache-1"}
    expected |= STARTED[site.project.answers["task_queue"]]
    expected |= (
        {"certbot-1"} if site.project.answers["deployment"] == "nginx" else set()
    )
    assert set(site.containers()) == {
        f"{site.path.name}-{name.replace('COLOUR', site.colour)}" for name in expected
    }


def test_secrets_are_made_once_and_never_shown(site):
    made = site.output["secrets"]
    assert "Made DJANGO_SECRET_KEY." in made.stdout
    read = (
        "exec",
        f"{site.path.name}-app-{site.colour}-1",
        "cat",
        "/run/secrets/DATABASE_URL",
    )
    url = site.host.docker(*read).strip()
    again = site.just("secrets")
    shown = "".join(
        result.stdout + result.stderr for result in (*site.output.values(), again)
    )
    assert "Made" not in again.stdout
    assert site.host.docker(*read).strip() == url
    assert url.split(":")[2].partition("@")[0] not in shown


def test_the_proxy_cannot_reach_the_database(site):
    app = f"app-{site.colour}"
    networks = {
        name: set(
            site.host.docker(
                "inspect",
                f"--format={NETWORKS}",
                f"{site.path.name}-{name}-1",
            ).split()
        )
        for name in ("proxy", "database", app)
    }
    assert not networks["proxy"] & networks["database"]
    assert networks[app] == networks["proxy"] | networks["database"]


def test_containers_have_no_rights_and_a_limit(site):
    form = " ".join(RIGHTS.split())
    lines = site.host.docker("inspect", f"--format={form}", *site.containers())
    for line in lines.splitlines():
        name, _, rest = line.partition(" ")
        more = "[NET_BIND_SERVICE]" if name.endswith("-proxy-1") else "[]"
        if site.project.answers["deployment"] == "nginx":
            more = "[]"
        rights = f"true [ALL] {more} [no-new-privileges:true] true"
        assert rest == f"{rights} always local", line


def test_every_command_of_the_guide_is_in_a_test(site):
    guide = (site.path / "docs" / "deploy.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    verbs = {re.search(r"just (?:env=\w+ )?([\w-]+)", line) for line in lines}
    named = {verb[1] for verb in verbs if verb}
    tested = "secrets deploy manage status releases rollback shell maintenance".split()
    assert named == {*tested, "server-setup"}


def test_commands_of_the_guide_look_inside(site):
    assert "no issues" in site.just("env=production", "manage", "check").stdout
    assert f"app-{site.colour}-1" in site.just("status").stdout
    assert re.match(r"\S+Z \S+@\S+ deploy \w+ ok", site.releases()[0])
    told = site.just("env=production", "doctor", "--json", check=False).stdout
    faults = {row["probe"] for row in json.loads(told) if row["level"] != "info"}
    # Its name is in no DNS; mail and backups have not been set up.
    assert faults == {"site", "mail", "backup"}


# Celery's beat does it on the others.
@pytest.mark.sites("caddy asgi", "nginx asgi")
def test_cron_calls_what_the_guide_says(site):
    guide = (site.path / "docs" / "operations.md").read_text()
    run, *jobs = re.search(r"^RUN=.*?(?=```)", guide, re.S | re.M)[0].splitlines()
    assert len(jobs) == 1 + (site.project.answers["task_queue"] == "database")
    for job in jobs:
        command = re.fullmatch(r"\d+ 4 \* \* \* root (.*)", job)[1]
        # As cron does: the shell gets the variable as it is.
        site.run("sh", "-c", command, RUN=run.removeprefix("RUN="))


def test_the_shell_cannot_write_unless_it_is_asked(site):
    code = (
        "from apps.users.models import User; print(User.objects.create(username='x'))"
    )
    refused = site.just("shell", stdin=code, check=False)
    assert "read-only transaction" in refused.stdout + refused.stderr
    assert "User" not in refused.stdout
    assert "x" in site.just("shell", "--write", stdin=code).stdout


def test_the_database_has_a_shell(site):
    query = "SELECT count(*) || ' users' FROM users_user;"
    assert re.search(r"\d users", site.just("dbshell", stdin=query).stdout)


@only_nginx
def test_nginx_limits_attempts_to_log_in(site):
    statuses = [
        fetch(site.host, "/admin/login/", "POST", body=b"a=b").status
        for number in range(15)
    ]
    assert 429 not in statuses[:11]
    assert set(statuses[12:]) == {429}


@only_nginx
def test_an_own_certificate_is_read_at_once(site, tmp_path):
    guide = (site.path / "docs" / "deploy.md").read_text()
    script = re.search(r"```text\n(for file.*?)```", guide, re.DOTALL)[1]
    own = Certificate(tmp_path, SITE)
    proxy, live = f"{site.path.name}-proxy-1", "/srv/certificates/live/site"
    pairs = [("fullchain.pem", own.file), ("privkey.pem", own.key)]
    of_certbot = [
        site.host.docker("exec", proxy, "cat", f"{live}/{name}") for name, _ in pairs
    ]
    for name, file in pairs:
        (site.path / name).write_bytes(file.read_bytes())
    site.run("sh", "-ec", script)
    wait_for_trust(site, own.file)
    for (name, _), text in zip(pairs, of_certbot, strict=True):
        (site.path / name).write_text(text)
    site.run("sh", "-ec", script)
    wait_for_trust(site, site.root)
    for name, _ in pairs:
        (site.path / name).unlink()


def test_maintenance_shows_its_page_and_ends(site):
    site.just("maintenance", "on")
    answer = fetch(site.host, "/nowhere/", "POST", body=b"a=b")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "300")
    assert b"We will be back soon" in answer.content
    site.just("maintenance", "off")
    assert fetch(site.host).status == 200
