"""Uploads in real stores, through the production settings: private, under names of their own, as large as they come."""

import json

import pytest

from tests.bakery import Project, production_environment

STORES = ["s3", "gcs", "azure"]

# Saves, reads, lists and deletes through Django, and says what came of it.
LIFE = """
import json
from urllib.error import HTTPError
from urllib.request import urlopen
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage as storage

def fetch(url):
    try:
        with urlopen(url) as answer:
            return [answer.status, len(answer.read())]
    except HTTPError as error:
        return [error.code, 0]

seen = {}
PREPARE
first = storage.save("notes/a.txt", ContentFile(b"first"))
second = storage.save("notes/a.txt", ContentFile(b"second"))
seen["first"] = storage.open(first).read().decode()
seen["second"] = storage.open(second).read().decode()
seen["sizes"] = [storage.size(first), storage.size(second)]
seen["names"] = sorted(name.rpartition("/")[2] for name in storage.listdir("notes")[1])
seen["expected"] = sorted(name.rpartition("/")[2] for name in (first, second))
large = storage.save("large.bin", ContentFile(bytes(9 * 1024 * 1024) + b"end"))
seen["large"] = [storage.size(large), storage.open(large).read()[-3:].decode()]
url = storage.url(first)
seen["signed"], seen["unsigned"] = fetch(url), fetch(url.partition("?")[0])
seen["tampered"] = fetch(url[:-4] + ("AAAA" if not url.endswith("AAAA") else "BBBB"))
seen["shown"] = url.startswith(settings.SECURE_CSP["img-src"][-1])
for name in (first, second, large):
    storage.delete(name)
    storage.delete(name)
seen["left"] = [storage.exists(first), storage.listdir("notes")[1]]
print(json.dumps(seen))
"""
PREPARE = {
    "s3": """
calls = []
def note(model, **options): calls.append(model.name)
storage.connection.meta.client.meta.events.register("before-call.s3", note)
""",
    "azure": "storage.client.create_container()",
}


@pytest.fixture(scope="module", params=STORES)
def store(request, tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp(request.param), media_storage=request.param, database="sqlite")
    project.sync()
    return project


@pytest.mark.xdist_group("storage")
def test_an_upload_lives_in_a_real_store(store, services):
    name = store.answers["media_storage"]
    env = production_environment(store.answers, services)
    script = LIFE.replace("PREPARE", PREPARE.get(name, ""))
    if name == "s3":
        script = script.replace("print(json", "seen['calls'] = calls\nprint(json")
    seen = json.loads(store.manage("shell", "--no-imports", "-c", script, env=env).stdout)
    print(seen)
