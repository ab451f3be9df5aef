"""Uploads on disk: both proxies show plain images, and save everything else.

A page or a drawing that somebody uploaded would run its scripts as this site's.
"""

import pytest

from tests.drill import only_wsgi
from tests.drill.instances import PUBLIC, client
from tests.services import Caddy, Nginx

IMAGES = {"a.png": "image/png", "b.JPG": "image/jpeg", "dir/c.webp": "image/webp"}
OTHERS = ("page.html", "drawing.svg", "a.png.html", "notes", "script.js")


@only_wsgi
def test_uploads_run_nothing(project, env, start, report, tmp_path):
    report(drill(project, start(project, env), tmp_path))


@only_wsgi
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("deploy/caddy/Caddyfile", "header @download Content-Disposition", "header X"),
        ("deploy/nginx/nginx.conf", "default attachment;", 'default "";'),
    ],
)
def test_uploads_that_are_pages_are_noticed(
    project, env, start, break_promise, tmp_path, path, old, new
):
    broken = break_promise(path, old, new)
    with pytest.raises(AssertionError, match=r"page\.html"):
        drill(broken, start(project, env), tmp_path)


def drill(project, instance, folder) -> str:
    media = project.path / "data" / "media"
    for name in (*IMAGES, *OTHERS):
        (media / name).parent.mkdir(parents=True, exist_ok=True)
        (media / name).write_bytes(b"<script>alert(1)</script>")
    for proxy in (Caddy, Nginx):
        with proxy(folder / proxy.__name__, project.path, instance.port) as running:
            for name in (*IMAGES, *OTHERS):
                answer = fetch(running, f"/media/{name}")
                what = f"{name} through {proxy.__name__}: {answer.msg.as_string()}"
                assert answer.status == 200, what
                assert answer.headers["X-Content-Type-Options"] == "nosniff", what
                assert "sandbox" in answer.headers["Content-Security-Policy"], what
                is_saved = answer.headers["Content-Disposition"] == "attachment"
                assert is_saved == (name in OTHERS), what
                if name in IMAGES:
                    assert answer.headers["Content-Type"] == IMAGES[name], what
            for path in ("/media/../db.sqlite3", "/media/%2e%2e/db.sqlite3", "/media/"):
                assert fetch(running, path).status in (400, 403, 404), path
    return f"{len(IMAGES)} images and {len(OTHERS)} other files through Caddy and nginx"


def fetch(proxy, path: str):
    connection = client(proxy.port, tls=True)
    connection.request("GET", path, headers=PUBLIC)
    return connection.getresponse()
