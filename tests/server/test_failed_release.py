"""Failed release: the old one serves, the status is not 0, the next one works."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.server.site import Site
from tests.server.traffic import traffic
from tests.services import wait_until


def never_ready(site: Site) -> None:
    old = "    connection.ensure_connection()\n    if not connection"
    new = old.replace("connection.ensure_connection()", "raise ConnectionError")
    site.project.replace("core/health.py", old, new)


def bad_migration(site: Site) -> None:
    site.add_migration("SELECT nothing FROM nowhere")


def no_start(site: Site) -> None:
    site.project.replace("Dockerfile", '"config.serve"', '"config.nothing"')


FAILURES = {
    "never ready": (never_ready, "start instances", "the last lines of"),
    "bad migration": (bad_migration, "migrate", "nowhere"),
    "no start": (no_start, "start instances", "config.nothing"),
}


@contextmanager
def after_commit(site: Site, change: Callable[[Site], None]) -> Iterator[str]:
    """Commit a change until the end of the block; yield the name of the release."""
    change(site)
    yield site.commit("Broken")
    site.undo()


@pytest.mark.parametrize(
    "failure",
    [
        "never ready",
        pytest.param("bad migration", marks=pytest.mark.long),
        pytest.param("no start", marks=pytest.mark.long),
    ],
)
def test_the_old_release_serves(site, report, failure):
    break_release, step, line = FAILURES[failure]
    old = site.containers("-app-")
    with after_commit(site, break_release) as release, traffic(site.host) as load:
        failed = site.just("deploy", check=False, READY_TIMEOUT="20")
    assert failed.returncode == 1
    assert f"deploy of {release} failed at: {step}." in failed.stderr
    assert "serves as before" in failed.stderr
    assert line in failed.stderr
    assert site.containers("-app-") == old
    assert not load.failures, f"{load.told()}, such as {load.failures[0]}"
    assert site.releases()[-1].endswith(f"deploy {release} failed at: {step}")
    report(f"{failure}: {load.told()}")


@pytest.mark.long
@pytest.mark.parametrize("step", ["migrate", "start instances", "drain"])
def test_a_release_that_is_killed_leaves_a_site_and_the_next_one_works(
    site, report, step
):
    site.append("apps/drill.py", "\n")
    release = site.commit("Killed")
    with traffic(site.host) as load:
        process = site.start("deploy")
        wait_until(lambda: f"{release}: {step}" in site.started_log(), 600, step)
        site.kill(process)
        site.just("deploy")
    assert not load.failures, f"{load.told()}, such as {load.failures[0]}"
    killed, done = site.releases()[-2:]
    assert f"deploy {release} ended at: {step}" in killed
    assert done.endswith(f"deploy {release} ok")
    assert len(site.containers("-app-")) == 2
    report(f"killed at {step}: {load.told()}")


@pytest.mark.long
def test_of_two_at_once_one_waits_outside(site, report):
    site.append("apps/drill.py", "\n")
    release = site.commit("Two")
    process = site.start("deploy")
    wait_until(lambda: f"{release}: check" in site.started_log(), 600, "the lock")
    second = site.just("deploy", check=False)
    assert second.returncode == 1
    assert "another release runs: wait" in second.stderr
    assert process.wait(600) == 0, site.started_log()
    report("the second is refused")
