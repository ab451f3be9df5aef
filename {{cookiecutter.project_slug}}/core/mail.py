"""Mails errors to DJANGO_ADMINS, where nobody else is told of them."""

import logging
import threading
from traceback import format_exception

from django.core.mail import mail_admins

from apps.observability.request_ids import current_request_id

PAUSE_S = 60

logger = logging.getLogger(__name__)


class AdminMailHandler(logging.Handler):
    """One mail a minute at most, sent beside the request: a mail server that is slow or away holds up nobody.

    Unlike Django's own handler it leaves out the request's headers, cookies and fields.
    """

    next_mail = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if record.created < self.next_mail:
            return
        self.next_mail = record.created + PAUSE_S
        body = f"{record.getMessage()}\n\nrequest_id: {current_request_id()}\n"
        if record.exc_info:
            body += "\n" + "".join(format_exception(*record.exc_info))
        threading.Thread(target=send, args=(record.levelname, record.getMessage(), body), daemon=True).start()


def send(level: str, message: str, body: str) -> None:
    try:
        mail_admins(f"{level}: {message.splitlines()[0][:200]}", body)
    except Exception as error:  # noqa: BLE001 - whatever the mail server does, the error itself is in the log
        logger.warning("An error could not be mailed: %s", type(error).__name__)
