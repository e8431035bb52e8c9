"""Mail out, against a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
import email
import stat
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

from troth.kit.mail import Mail, MailMalformed, MailNotSent, MailSettings

LINK = "https://imaging.example/invitation/" + "a" * 120
TEXT = f"Open this link:\n\n{LINK}\n"


class Mailbox:
    """An SMTP handler that keeps what it is given and refuses one address."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        if address.startswith("refused"):
            return f"550 5.1.1 no mailbox for {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
async def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def port(mailbox: Mailbox) -> Any:
    loop = asyncio.get_running_loop()
    controller = UnthreadedController(mailbox, hostname="127.0.0.1", port=0, loop=loop)
    server = await controller._create_server()
    controller.server = server
    yield server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    server.close()
    await server.wait_closed()


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def to_server(port: int) -> Mail:
    return Mail(MailSettings(server="127.0.0.1", port=port, security="none", timeout_seconds=5))


async def test_a_message_reaches_the_server_whole(port: int, mailbox: Mailbox) -> None:
    message_id = await to_server(port).send("ada@example.org", "Your link", TEXT, {"Reply-To": "office@example.org"})
    [envelope] = mailbox.envelopes
    assert envelope.rcpt_tos == ["ada@example.org"]
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=default)
    assert message["Subject"] == "Your link"
    assert message["Reply-To"] == "office@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == message_id
    assert LINK in message.get_content()


async def test_a_refusal_is_told_without_the_address(port: int, mailbox: Mailbox) -> None:
    with pytest.raises(MailNotSent) as caught:
        await to_server(port).send("refused@example.org", "Your link", TEXT)
    assert "refused@" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert mailbox.envelopes == []


async def test_no_server_is_an_error(port: int) -> None:
    with pytest.raises(MailNotSent):
        await Mail(MailSettings(server="127.0.0.1", port=1, security="none", timeout_seconds=2)).send("a@b.c", "s", "t")


@pytest.mark.asvs("V12.3.1")
async def test_starttls_is_not_given_up_when_the_server_has_none(port: int, mailbox: Mailbox) -> None:
    with pytest.raises(MailNotSent):
        await Mail(MailSettings(server="127.0.0.1", port=port, timeout_seconds=5)).send("ada@example.org", "s", "t")
    assert mailbox.envelopes == []


async def test_without_a_server_messages_are_kept_for_the_owner_alone(outbox: Path) -> None:
    await Mail(MailSettings(outbox=outbox)).send("ada@example.org", "Your link", TEXT)
    [path] = outbox.iterdir()
    assert path.suffix == ".eml"
    assert "ada" not in path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(outbox.stat().st_mode) == 0o700
    assert LINK.encode() in path.read_bytes()


async def test_accents_survive(outbox: Path) -> None:
    await Mail(MailSettings(outbox=outbox)).send("ada@example.org", "Votre lien", "Chère Zoë, \u5c71\u7530")
    [path] = outbox.iterdir()
    assert "Chère Zoë, 山田" in email.message_from_bytes(path.read_bytes(), policy=default).get_content()


@pytest.mark.asvs("V1.3.3", "V1.3.11")
@pytest.mark.parametrize("field", ["to", "subject", "header"])
async def test_a_line_break_cannot_add_a_header(outbox: Path, field: str) -> None:
    values = {"to": "ada@example.org", "subject": "Your link", "header": "fine"}
    values[field] += "\r\nBcc: eve@example.org"
    with pytest.raises(MailMalformed):
        await Mail(MailSettings(outbox=outbox)).send(values["to"], values["subject"], TEXT, {"X-A": values["header"]})
    assert not outbox.exists()


async def test_an_outbox_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file, not a folder")
    with pytest.raises(MailNotSent):
        await Mail(MailSettings(outbox=tmp_path / "outbox")).send("ada@example.org", "Your link", TEXT)


def test_mail_needs_a_way_out() -> None:
    with pytest.raises(ValueError, match="outbox"):
        Mail(MailSettings())


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(MailSettings(server="mail.example", password="hunter2"))
