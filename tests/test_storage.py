"""Uploads in real stores with the production settings: private, unique, of any size."""

import json

import pytest

from tests.bakery import Project, production_environment
from tests.test_kit import run_kit

STORES = ["s3", "gcs", "azure"]

# Save, read, list and delete files with Django, and print the results.
LIFE = """
import json
from urllib.error import HTTPError
from urllib.request import urlopen
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage as storage
from django.core.files.uploadedfile import SimpleUploadedFile

def fetch(url):
    try:
        with urlopen(url) as answer:
            return [answer.status, len(answer.read())]
    except HTTPError as error:
        return [error.code, 0]

seen = {"calls": []}
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
query = url.partition("?")[2]
seen["parameters"] = sorted(part.partition("=")[0] for part in query.split("&"))
seen["shown"] = url.startswith(settings.SECURE_CSP["img-src"][-1])
evil = storage.save("a.svg", SimpleUploadedFile("a.svg", b"<svg/>", "text/html"))
image = storage.save("a.png", SimpleUploadedFile("a.png", b"<p>", "text/html"))
seen["described"] = [describe(name) for name in (evil, image)]
for name in (first, second, large, evil, image):
    storage.delete(name)
    storage.delete(name)
seen["left"] = [storage.exists(first), storage.listdir("notes")[1]]
print(json.dumps(seen))
"""
SIGNATURES = {
    "s3": {"X-Amz-Signature", "X-Amz-Expires"},
    "gcs": {"X-Goog-Signature", "X-Goog-Expires"},
    "azure": {"sig", "se", "skoid"},
}
PREPARE = {
    "s3": """
def note(model, params, **options):
    seen["calls"].append(model.name)
    headers = [name.lower() for name in params["headers"]]
    seen["checksums"] += [name for name in headers if "checksum" in name]
seen["checksums"] = []
storage.connection.meta.client.meta.events.register("before-call.s3", note)
def describe(name):
    found = storage.bucket.Object(name)
    return [found.content_type, found.content_disposition]
""",
    "gcs": """
def describe(name):
    found = storage.bucket.get_blob(name)
    return [found.content_type, found.content_disposition]
""",
    "azure": """
def describe(name):
    found = storage.client.get_blob_client(name).get_blob_properties().content_settings
    return [found.content_type, found.content_disposition]
""",
}


@pytest.fixture(scope="module", params=STORES)
def store(request, tmp_path_factory) -> Project:
    project = Project.bake(
        tmp_path_factory.mktemp(request.param),
        media_storage=request.param,
        database="sqlite",
    )
    project.sync()
    return project


@pytest.mark.xdist_group("storage")
def test_an_upload_is_stored_signed_and_deleted(store, services):
    name = store.answers["media_storage"]
    env = production_environment(store.answers, services)
    script = LIFE.replace("PREPARE", PREPARE[name])
    output = store.manage("shell", "--no-imports", "-c", script, env=env).stdout
    seen = json.loads(output)

    assert (seen["first"], seen["second"], seen["sizes"]) == ("first", "second", [5, 6])
    assert len(set(seen["expected"])) == 2
    assert seen["names"] == seen["expected"]
    assert seen["large"] == [9 * 1024 * 1024 + 3, "end"]
    assert seen["left"] == [False, []]
    svg, image = ["image/svg+xml", "attachment"], ["image/png", "inline"]
    assert seen["described"] == [svg, image]
    assert SIGNATURES[name] <= set(seen["parameters"])
    if name == "s3":
        assert (seen["signed"], seen["unsigned"]) == ([200, 5], [403, 0])
        assert seen["shown"] is True
        calls = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}
        assert calls <= set(seen["calls"])
        assert seen["checksums"] == []
    if name == "azure":
        # Azurite 3.35 refuses the SDK's current form of a delegated signature.
        assert (seen["unsigned"], seen["shown"]) == ([403, 0], True)


@pytest.mark.xdist_group("storage")
def test_the_back_end_keeps_its_promises(store):
    run_kit(store, store.answers["media_storage"])
