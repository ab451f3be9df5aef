"""Uploads go to a private bucket under names that are never used twice, and pages may show them."""

from typing import TYPE_CHECKING

import pytest
from django.core.files.storage.handler import StorageHandler

if TYPE_CHECKING:
    from conftest import LoadModule

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.parametrize(
    ("environ", "source", "url"),
    [
        ({}, "https://media.s3.amazonaws.com", "https://media.s3.amazonaws.com/a.png?"),
        (
            {"AWS_S3_REGION_NAME": "eu-west-1"},
            "https://media.s3.eu-west-1.amazonaws.com",
            "https://media.s3.eu-west-1.amazonaws.com/a.png?",
        ),
        (
            {"AWS_STORAGE_BUCKET_NAME": "shop.media", "AWS_S3_REGION_NAME": "eu-west-1"},
            "https://s3.eu-west-1.amazonaws.com/shop.media/",
            "https://s3.eu-west-1.amazonaws.com/shop.media/a.png?",
        ),
        (
            {"AWS_S3_ENDPOINT_URL": "http://127.0.0.1:9000/"},
            "http://127.0.0.1:9000/media/",
            "http://127.0.0.1:9000/media/a.png?",
        ),
        ({"AWS_S3_CUSTOM_DOMAIN": "media.shop.test"}, "https://media.shop.test", "https://media.shop.test/a.png"),
    ],
)
def test_urls_are_where_pages_may_show_them_from(
    load_module: "LoadModule",
    production_environ: dict[str, str],
    environ: dict[str, str],
    source: str,
    url: str,
) -> None:
    settings = load_module("config.settings.production", production_environ | KEYS | environ)
    signed = StorageHandler(settings.STORAGES)["default"].url("a.png")
    assert signed.startswith(url)
    assert signed == url or "X-Amz-Signature=" in signed
    for directive in ("img-src", "media-src"):
        assert settings.SECURE_CSP[directive][-1] == source
    assert source not in settings.SECURE_CSP["script-src"]


def test_the_bucket_is_used_with_the_role_of_the_machine(
    load_module: "LoadModule", production_environ: dict[str, str]
) -> None:
    options = load_module("config.settings.production", production_environ).STORAGES["default"]["OPTIONS"]
    assert (options["access_key"], options["secret_key"]) == (None, None)
    assert (options["default_acl"], options["file_overwrite"]) == (None, False)


def test_a_store_that_does_not_answer_is_given_up(
    load_module: "LoadModule", production_environ: dict[str, str]
) -> None:
    settings = load_module("config.settings.production", production_environ | KEYS)
    client = StorageHandler(settings.STORAGES)["default"].connection.meta.client  # type: ignore[attr-defined]
    assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (2, 10)
    assert client.meta.config.retries == {"total_max_attempts": 2, "mode": "standard"}
