"""Uploads in S3: the source for pages, the credentials and the names."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.checks import run_checks
from django.core.files.storage.handler import StorageHandler

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
REGION = {"AWS_S3_REGION_NAME": "eu-west-1"}


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({}, "https://uploads.s3.amazonaws.com"),
        (REGION, "https://uploads.s3.eu-west-1.amazonaws.com"),
        (
            {"AWS_STORAGE_BUCKET_NAME": "shop.media", **REGION},
            "https://s3.eu-west-1.amazonaws.com/shop.media/",
        ),
        (
            {"AWS_S3_ENDPOINT_URL": "http://127.0.0.1:9000/"},
            "http://127.0.0.1:9000/uploads/",
        ),
        ({"AWS_S3_CUSTOM_DOMAIN": "media.shop.test"}, "https://media.shop.test"),
    ],
)
def test_pages_may_show_uploads_from_where_they_are(load_production, environ, source):
    settings = load_production(**KEYS, **environ)
    url = StorageHandler(settings.STORAGES)["default"].url("a.png")
    assert url.startswith(source.rstrip("/") + "/a.png")
    assert source == settings.MEDIA_SOURCE


def test_without_keys_the_role_of_the_machine_is_used(load_production):
    options = load_production().STORAGES["default"]["OPTIONS"]
    assert (options["access_key"], options["secret_key"]) == (None, None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", "without the key that it belongs to"),
        ("AWS_STORAGE_BUCKET_NAME", "s3://media"),
        ("AWS_S3_CUSTOM_DOMAIN", "https://media.test"),
        ("AWS_S3_ENDPOINT_URL", "s3.test"),
    ],
)
def test_invalid_values_are_refused(load_production, variable, value):
    with pytest.raises(SystemExit, match=f"- {variable} "):
        load_production(**{variable: value})


def test_a_far_store_is_asked_by_https(settings):
    for address, is_told in [
        ("http://store.shop.test", True),
        ("https://store.shop.test", False),
        ("http://minio:9000", False),
    ]:
        settings.S3_ENDPOINT = address
        found = {message.id for message in run_checks(include_deployment_checks=True)}
        assert ("core.W005" in found) == is_told


def test_a_thread_makes_no_connection_of_its_own(load_production):
    storage = StorageHandler(load_production(**KEYS).STORAGES)["default"]
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(lambda: storage.connection).result()
    assert elsewhere is storage.connection


def test_a_store_that_does_not_answer_is_given_up(load_production):
    storage = StorageHandler(load_production(**KEYS).STORAGES)["default"]
    config = storage.connection.meta.client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 10)
    assert config.retries == {"total_max_attempts": 2, "mode": "standard"}
