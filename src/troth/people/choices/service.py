"""Messages to one person for one purpose: each needs its own permit, so that a choice made a moment ago counts."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from troth.kit.db import Database
from troth.kit.mail import Mail
from troth.ledger import Ledger
from troth.notice import Notices
from troth.people.choices import store
from troth.people.choices.proposals import Proposals
from troth.people.errors import FieldMalformed
from troth.policy import Permit, Target
from troth.vault import KeyRef, Keyring

_LONGEST = 20_000


class Choices(Proposals):
    """Consents, channels, objections, versions, restrictions, ages, proposals, and the messages that heed them.

    Args:
        db: Opened as `troth_app`.
        keyring: Seals records and signs receipts.
        ledger: Where each choice is written.
        notices: What people saw.
        mail: The mail transport.
    """

    def __init__(self, db: Database, keyring: Keyring, ledger: Ledger, notices: Notices, mail: Mail) -> None:
        super().__init__(db, keyring, ledger, notices)
        self._mail = mail

    async def send_message(
        self, permit: Permit, holder_id: UUID, title: str, text: str, headers: Mapping[str, str] | None = None
    ) -> int:
        """Send an e-mail for the purpose of the permit. That it is sent is written first.

        Args:
            permit: To `send_message` to this person on the channel `email` (see `message_to`).
            holder_id: The subject or account.
            title: The subject line; nothing personal.
            text: The message.
            headers: Further headers, such as List-Unsubscribe.

        Returns:
            How many addresses it went to.

        Raises:
            FieldMalformed: Empty or too long.
            troth.kit.mail.MailNotSent: It was not taken.
        """
        if not title.strip() or not text.strip() or len(title) > 200 or len(text) > _LONGEST:
            raise FieldMalformed("a message has a title and a text")
        holder = await self.holder(permit, holder_id, ("send_message",))
        async with self._db.transaction(permit) as connection:
            rows = await store.addresses(connection, holder_id)
            told = {"title": title, "channel": "email"}
            await self._tell(connection, permit, holder, "people:message:sent", "given", {"addresses": len(rows)}, told)
        for row in rows:
            context = b"account:" + row["id"].bytes
            address = self._keyring.unseal(KeyRef(row["key"]), row["email_sealed"], context).decode()
            await self._mail.send(address, title, text, dict(headers or {}))
        return len(rows)


def message_to(tenant: UUID | None, holder_id: UUID, channel: str = "email", topic: str = "") -> Target:
    """The target of the decision about one message to one person.

    Args:
        tenant: The organisation.
        holder_id: The subject or account.
        channel: How it is sent.
        topic: What it is about, of the topics that people choose among.
    """
    attributes = (("channel", channel), *((("topic", topic),) if topic else ()))
    return Target("subject", holder_id, tenant, holder_id, attributes=attributes)
