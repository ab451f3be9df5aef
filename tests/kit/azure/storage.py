"""Uploads in Azure: the managed identity, and a store that does not answer."""

import pytest
from azure.identity import DefaultAzureCredential
from django.core.files.storage.handler import StorageHandler

# django-storages calls utcnow(), which Python 3.12 deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")


@pytest.fixture
def storage(load_production):
    return StorageHandler(load_production().STORAGES)["default"]


def test_the_machine_has_an_identity_instead_of_a_key(storage):
    assert isinstance(storage.token_credential, DefaultAzureCredential)
    assert (storage.account_key, storage.overwrite_files) == (None, False)


def test_a_store_that_does_not_answer_is_given_up(storage):
    options = storage.client_options
    assert (options["connection_timeout"], options["read_timeout"]) == (2, 10)
    assert options["retry_policy"].total_retries == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AZURE_ACCOUNT_NAME", "https://shop.blob.core.windows.net"),
        ("AZURE_CONTAINER", "shop/media"),
    ],
)
def test_invalid_values_are_refused(load_production, variable, value):
    with pytest.raises(SystemExit, match=f"- {variable} "):
        load_production(**{variable: value})
