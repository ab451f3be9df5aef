"""Keeps an outage from filling the log."""

import logging


class OncePerMinute(logging.Filter):
    """Lets one record a minute through: an outage says so, and does not fill the disk saying it."""

    def __init__(self) -> None:
        super().__init__()
        self.next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self.next:
            return False
        self.next = record.created + 60
        return True
