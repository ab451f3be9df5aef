"""Uploads go to the store that production's variables name, and pages may show them."""

from collections.abc import Callable
from types import SimpleNamespace

from django.core.files.storage import Storage
from django.utils.module_loading import import_string


def test_pages_may_show_what_is_in_the_store(
    load_production: Callable[..., SimpleNamespace], production_environ: dict[str, str]
) -> None:
    production = load_production()
    assert issubclass(import_string(production.STORAGES["default"]["BACKEND"]), Storage)
    # %if cookiecutter.media_storage == "s3"
    bucket = production_environ["AWS_STORAGE_BUCKET_NAME"]
    # %endif
    # %if cookiecutter.media_storage == "gcs"
    bucket = production_environ["GS_BUCKET_NAME"]
    # %endif
    # %if cookiecutter.media_storage == "azure"
    bucket = production_environ["AZURE_CONTAINER"]
    # %endif
    assert bucket in production.MEDIA_SOURCE
    for directive in ("img-src", "media-src"):
        assert production.MEDIA_SOURCE in production.SECURE_CSP[directive]
