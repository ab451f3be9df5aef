"""Uploads in Azure Blob Storage, with the machine's own identity.

https://learn.microsoft.com/en-us/azure/developer/python/sdk/authentication/overview
"""

from typing import Any

from azure.identity import DefaultAzureCredential
from azure.storage.blob import LinearRetry
from storages.backends import azure_storage

from core.uploads import describe


class AzureStorage(azure_storage.AzureStorage):
    token_credential: Any
    client_options: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.token_credential = self.token_credential or DefaultAzureCredential()
        # Seconds. By default a store that does not answer blocks a request for minutes.
        self.client_options = {
            "connection_timeout": 2,
            "read_timeout": 10,
            "retry_policy": LinearRetry(backoff=1, retry_total=1),
            **self.client_options,
        }

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        return {**super().get_object_parameters(name), **describe(name)}
