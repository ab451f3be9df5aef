"""Keep an outage of the cache from filling the log."""

import logging


class OncePerMinute(logging.Filter):
    """Pass one record a minute, as a warning: the service goes on."""

    next_record = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self.next_record:
            return False
        self.next_record = record.created + 60
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
