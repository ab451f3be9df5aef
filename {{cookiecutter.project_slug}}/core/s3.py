"""Uploads in an S3-compatible store that neither a slow store nor a new thread holds up."""

from types import SimpleNamespace
from typing import Any

from botocore.config import Config
from storages.backends import s3

# Seconds and attempts: a store that does not answer holds a request up for 5 s instead of minutes.
IMPATIENT = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2, "mode": "standard"})


class S3Storage(s3.S3Storage):
    client_config: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_config = self.client_config.merge(IMPATIENT)
        # One connection for all threads, not one for each: it takes 70 ms to make, and a thread may live for one request.
        # https://docs.aws.amazon.com/boto3/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients
        self._connections = SimpleNamespace()
