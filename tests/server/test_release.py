"""Release: another version and its migration, and back again, under constant load."""

import re
import time

from tests.server.traffic import fetch, traffic
from tests.services import wait_until

TASKS = 60
ENQUEUE = """
from apps.users.tasks import drill
for number in range({count}):
    drill.{method}("{mark}-" + str(number))
"""
COUNT = """
from apps.users.models import User
print("done", User.objects.filter(username__startswith="{mark}").count())
"""
METHODS = {"celery": "delay", "database": "enqueue"}


def test_a_release_and_a_rollback_lose_no_request(site, report):
    site.wait_for_health()
    before = re.search(
        r"/static/css/site\.\w+\.css", fetch(site.host).content.decode()
    )[0]
    site.append("static/css/site.css", f"\n/* {time.time()} */\n")
    site.add_migration("CREATE TABLE drill (id integer)")
    release = site.commit("Second")
    old = site.containers("-app-")
    with traffic(site.host) as load:
        site.just("deploy")
        released = load.requests
        new = site.containers("-app-")
        page = fetch(site.host).content.decode()
        site.just("rollback")
        site.just("rollback", release)
        load.wait_for(5000)
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
    method = METHODS.get(site.project.answers["task_queue"])
    if not method:
        assert not site.containers("-worker-")
        return
    old = site.containers("-worker-")
    mark = f"t{time.time_ns()}"
    site.append("apps/drill.py", "\n")
    site.commit("Workers")
    script = ENQUEUE.format(count=TASKS, method=method, mark=mark)
    site.just("shell", "--write", stdin=script)
    site.just("deploy")
    new = site.containers("-worker-")
    assert len(new) == 1
    assert new != old

    def are_done() -> bool:
        output = site.just("shell", stdin=COUNT.format(mark=mark)).stdout
        return f"done {TASKS}" in output

    wait_until(are_done, 120, f"all {TASKS} tasks are done")
    report(f"{TASKS} of {TASKS} tasks done by two workers")
