"""Uploads in an S3-compatible store, which cannot block a request for minutes."""

from typing import Any

from botocore.config import Config
from django.utils.functional import cached_property
from storages.backends import s3

from core.uploads import describe


class S3Storage(s3.S3Storage):
    client_config: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Seconds and attempts. In the settings every command would import botocore,
        # which takes 0.25 s.
        impatient = Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"total_max_attempts": 2, "mode": "standard"},
            # Stores other than Amazon's refuse the checksums that boto3 adds.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self.client_config = self.client_config.merge(impatient)

    @cached_property
    def connection(self) -> Any:
        """Share a connection: one for each thread took 2 s and 4 MB of an upload.

        The library uses the client of the connection, which threads may share.
        """
        return super().connection

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        return {**super().get_object_parameters(name), **describe(name)}
