"""Mail out: to a configured SMTP server, or into a folder of `.eml` files where none is configured.

Subjects are read on notification screens and in server protocols: they carry no personal data. A failure is told
without the address, because errors end in places that outlive the message.

Per: RFC 5321 (SMTP), RFC 5322 (message), RFC 3834 (automatic messages), RFC 8314 (TLS).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

import aiosmtplib

from troth.kit import clock, ids
from troth.kit.errors import Unavailable, Unprocessable
from troth.kit.files import write_whole


class MailNotSent(Unavailable):
    """The mail server did not take a message."""

    slug = "mail-not-sent"
    title = "The message could not be handed to the mail server"


class MailMalformed(Unprocessable):
    """A header holds something that no message may carry, such as a line break."""

    slug = "mail-malformed"
    title = "The message cannot be written like this"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message.

    Attributes:
        name: File name; must not carry personal data.
        media_type: Such as `application/pdf`.
    """

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How mail leaves.

    Attributes:
        sender: The From header, an address with or without a name.
        server: Name or address of the SMTP server; empty writes to `outbox` instead.
        port: TCP port of the server.
        security: `tls` from the first byte, `starttls` before anything is said, `none` for a server on loopback.
        username: For SMTP AUTH; empty for none.
        password: For SMTP AUTH.
        outbox: Folder for messages when there is no server.
        timeout_seconds: For connecting and for each command.
    """

    sender: str = "Troth <no-reply@localhost>"
    server: str = ""
    port: int = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    outbox: Path | None = None
    timeout_seconds: float = 20.0


class Mail:
    """The mail transport of a deployment.

    Args:
        settings: How mail leaves; needs a `server` or an `outbox`.
        foot: What ends every message, asked anew for each; without it, nothing.

    Raises:
        ValueError: Neither is given.
    """

    def __init__(self, settings: MailSettings, foot: Callable[[], Awaitable[str]] | None = None) -> None:
        if not settings.server and settings.outbox is None:
            raise ValueError("mail needs a server or an outbox folder")
        self._settings = settings
        self._foot = foot

    async def send(
        self,
        to: str,
        subject: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        *,
        attachments: Sequence[Attachment] = (),
    ) -> str:
        """Send one message of plain text to one address.

        Args:
            to: The address; personal, never logged.
            subject: Must not carry personal data.
            text: The body.
            headers: Further headers.
            attachments: Files that go with it.

        Returns:
            The Message-ID.

        Raises:
            MailMalformed: A header cannot be written.
            MailNotSent: The server did not take it.
        """
        foot = await self._foot() if self._foot is not None else ""
        message = self._compose(to, subject, f"{text.rstrip()}\n\n{foot}\n" if foot else text, headers or {})
        for each in attachments:
            main, _, sub = each.media_type.partition(";")[0].strip().partition("/")
            message.add_attachment(each.content, maintype=main, subtype=sub, filename=each.name)
        if self._settings.server:
            await self._submit(message)
        else:
            await asyncio.to_thread(self._keep, message)
        return str(message["Message-ID"])

    def _compose(self, to: str, subject: str, text: str, headers: Mapping[str, str]) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = self._settings.sender
            message["To"] = to
            message["Subject"] = subject
            message["Date"] = format_datetime(clock.now())
            # Not make_msgid: that would tell the name of this machine and the number of our process.
            message["Message-ID"] = headers.get("Message-ID") or f"<{ids.uuid7()}@troth.invalid>"
            message["Auto-Submitted"] = "auto-generated"
            for name, value in headers.items():
                if name != "Message-ID":
                    message[name] = value
        except ValueError:
            raise MailMalformed from None
        # Without an encoding the library would fold long lines, and links with them.
        message.set_content(text, cte="7bit" if text.isascii() else "8bit")
        return message

    async def _submit(self, message: EmailMessage) -> None:
        settings = self._settings
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.server,
                port=settings.port,
                username=settings.username or None,
                password=settings.password or None,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                local_hostname="troth.invalid",
                timeout=settings.timeout_seconds,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError):
            # Cut from its cause: the server's answer repeats the address.
            raise MailNotSent from None

    def _keep(self, message: EmailMessage) -> None:
        outbox = self._settings.outbox
        assert outbox is not None
        try:
            outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(outbox / f"{ids.uuid7()}.eml", message.as_bytes())
        except OSError:
            raise MailNotSent(hint="See that the outbox folder can be written.") from None
