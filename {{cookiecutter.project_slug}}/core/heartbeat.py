"""A worker touches a file while it works: the file's age is the worker's health.

docs/operations.md has the commands that look at it.
"""

from contextlib import suppress
from typing import Any

from django.conf import settings


def touch_heartbeat(**kwargs: Any) -> None:
    """Touch the file; tasks run on where it cannot be written."""
    with suppress(OSError):
        settings.HEARTBEAT_FILE.touch()
