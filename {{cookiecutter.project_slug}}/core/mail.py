"""Mail errors to the addresses in DJANGO_ADMINS."""

import logging
import threading

from django.core.mail import mail_admins

from core.logs import request_id, safe_message, safe_traceback

logger = logging.getLogger(__name__)


class AdminMailHandler(logging.Handler):
    """Send at most one mail a minute, in a thread: no request waits for a mail server.

    Unlike the mails of Django's handler they hold no header, cookie or form field.
    """

    next_mail = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if record.created < self.next_mail:
            return
        self.next_mail = record.created + 60
        text = safe_message(record)
        body = f"{text}\n\nrequest_id: {request_id.get()}\n\n{safe_traceback(record)}"
        subject = f"{record.levelname}: {text.splitlines()[0][:200]}"
        threading.Thread(target=send, args=(subject, body), daemon=True).start()


def send(subject: str, body: str) -> None:
    try:
        mail_admins(subject, body)
    except Exception as error:  # noqa: BLE001 - any error of a mail server
        logger.warning("an error could not be mailed: %s", type(error).__name__)
