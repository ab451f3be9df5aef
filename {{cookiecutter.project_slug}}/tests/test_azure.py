"""Uploads go to a private container under names that are never used twice, and pages may show them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from azure.identity import DefaultAzureCredential
from azure.storage.blob import UserDelegationKey
from django.core.files.storage.handler import StorageHandler

if TYPE_CHECKING:
    from conftest import LoadModule

# django-storages still asks for the time in the way that Python 3.12 deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.fixture
def storage(load_module: "LoadModule", production_environ: dict[str, str]) -> Any:
    return StorageHandler(load_module("config.settings.production", production_environ).STORAGES)["default"]


def test_urls_are_signed_with_the_key_that_the_identity_was_given(storage: Any) -> None:
    key: Any = UserDelegationKey()  # type: ignore[no-untyped-call]
    key.signed_oid = key.signed_tid = "00000000-0000-0000-0000-000000000000"
    key.signed_start = key.signed_expiry = "2026-01-01T00:00:00Z"
    key.signed_service, key.signed_version, key.value = "b", "2020-02-10", "a2V5"
    storage._user_delegation_key = key
    storage._user_delegation_key_expiry = datetime.max  # noqa: DTZ901 - django-storages counts without a time zone
    url = storage.url("a.png")
    assert url.startswith("https://shop.blob.core.windows.net/media/a.png?")
    assert "sig=" in url
    assert "sp=r&" in url


def test_pages_may_show_what_is_in_the_container(load_module: "LoadModule", production_environ: dict[str, str]) -> None:
    policy = load_module("config.settings.production", production_environ).SECURE_CSP
    for directive in ("img-src", "media-src"):
        assert policy[directive][-1] == "https://shop.blob.core.windows.net/media/"
    assert "https://shop.blob.core.windows.net/media/" not in policy["script-src"]


def test_the_machine_has_an_identity_instead_of_a_key(storage: Any) -> None:
    assert isinstance(storage.token_credential, DefaultAzureCredential)
    assert (storage.account_key, storage.overwrite_files) == (None, False)


def test_a_store_that_does_not_answer_is_given_up(storage: Any) -> None:
    assert (storage.client_options["connection_timeout"], storage.client_options["read_timeout"]) == (2, 10)
    assert storage.client_options["retry_policy"].total_retries == 1
