"""Release: another version and its migration, and back again, under constant load."""

import re
import time

import pytest

from tests.server.traffic import fetch, traffic

ENQUEUE = """
from apps.users.models import User
for number in range(20):
    User.objects.create(username=f"MARK-{number}", email="a@shop.test")
"""


@pytest.mark.parametrize("least", [1000, pytest.param(5000, marks=pytest.mark.long)])
def test_a_release_and_a_rollback_lose_no_request(site, report, least):
    site.wait_for_health()
    before = re.search(
        r"/static/css/site\.\w+\.css", fetch(site.host).content.decode()
    )[0]
    site.append("static/css/site.css", f"\n/* {least} {time.time()} */\n")
    site.add_migration(f"CREATE TABLE drill_{least} (id integer)")
    release = site.commit("Second")
    old = site.containers("-app-")
    with traffic(site.host) as load:
        site.just("deploy")
        released = load.requests
        new = site.containers("-app-")
        page = fetch(site.host).content.decode()
        site.just("rollback")
        site.just("rollback", release)
        load.wait_for(least)
    assert not load.failures, f"{load.told()}, such as {load.failures[0]}"
    assert len(old) == len(new) == 2
    assert not set(old) & set(new)
    after = re.search(r"/static/css/site\.\w+\.css", page)[0]
    assert after != before
    for path in (before, after):
        answer = fetch(site.host, path, headers={"Accept-Encoding": "gzip"})
        assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
        assert "immutable" in answer.headers["Cache-Control"]
    missing = fetch(site.host, "/static/css/missing.css")
    assert missing.status == 404
    assert "immutable" not in str(missing.headers["Cache-Control"])
    assert site.releases()[-1].endswith(f" rollback {release} ok")
    report(f"{load.told()}, {released} in the release, the rest in two rollbacks")


def test_a_release_replaces_the_workers_and_loses_no_task(site, report):
    queue = site.project.answers["task_queue"]
    if queue == "none":
        return
    site.wait_for_health()
    old = site.containers("-worker-")
    mark = f"t{time.time_ns()}"
    site.append("apps/drill.py", "\n")
    site.commit("Workers")
    process = site.start("deploy")
    site.just("shell", "--write", stdin=ENQUEUE.replace("MARK", mark))
    assert process.wait(600) == 0, site.started_log()
    new = site.containers("-worker-")
    assert len(new) == 1
    assert new != old
    report(f"the {queue} worker is another one")
