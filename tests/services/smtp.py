"""SMTP servers that keep messages in a list."""

import asyncio
import email
import email.policy
import threading
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from aiosmtpd import smtp
from aiosmtpd.controller import Controller

from tests.services.process import HOST, wait_until
from tests.services.service import Service


class SMTP(Service):
    """An SMTP server that keeps what it receives: in `messages`, and as .eml files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.messages: list[EmailMessage] = []
        self._controller: Controller | None = None

    def start(self) -> None:
        if self._controller is None:
            # Without a host name, aiosmtpd asks DNS for one for every connection.
            self._controller = Controller(
                self, hostname=HOST, port=self.port, server_hostname="localhost"
            )
            self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def wait_for_message(self, timeout: float = 10) -> EmailMessage:
        """Return the newest message, once there is one."""
        wait_until(lambda: self.messages, timeout, "an e-mail arrives")
        return self.messages[-1]

    async def handle_DATA(  # noqa: N802
        self, server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope
    ) -> str:
        """Keep a message (called by aiosmtpd)."""
        message = read_message(envelope)
        (self.folder / f"{len(self.messages) + 1}.eml").write_bytes(message.as_bytes())
        self.messages.append(message)
        return "250 OK"


class Mailbox(SMTP):
    """An SMTP server that can let clients wait; `arrivals` also has aborted mails."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.arrivals: list[EmailMessage] = []
        self.arrived = threading.Event()
        self._open = threading.Event()
        self.release()

    def hold(self) -> None:
        self.arrived.clear()
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
        self.arrivals.append(read_message(envelope))
        self.arrived.set()
        await asyncio.to_thread(self._open.wait, 9)
        return await super().handle_DATA(server, session, envelope)


def read_message(envelope: smtp.Envelope) -> EmailMessage:
    # CRLF is for the wire.
    content = cast(bytes, envelope.content).replace(b"\r\n", b"\n")
    message = email.message_from_bytes(content, policy=email.policy.default)
    return cast(EmailMessage, message)
