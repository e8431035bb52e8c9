"""Messages to one person for one purpose: each needs its own permit, so that a choice made a moment ago counts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from uuid import UUID

from troth.kit.db import Database, Space
from troth.kit.mail import Mail, MailMalformed, MailNotSent
from troth.ledger import Ledger
from troth.notice import Notices
from troth.people.choices import store, unsubscription
from troth.people.choices.model import Holder
from troth.people.choices.proposals import WORDS, Proposals
from troth.people.errors import FieldMalformed, MarketingUnstoppable
from troth.people.facts import BY_LINK
from troth.people.model import Links
from troth.people.room import email_of
from troth.policy import Actor, ActorKind, Clear, Permit, Target
from troth.vault import KeyDestroyed, KeyRef, Keyring

_LONGEST = 20_000
_PROPOSED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "queued": (
            "Your account may be closed",
            "A program proposes to {what}. Nothing has happened: a person decides. If you want to keep it, sign in "
            "once or write to {contact}.\n\n{url}/sign-in\n",
        ),
        "confirmed": (
            "Your account was closed",
            "A person decided to {what}, as a program had proposed. If you think that this is wrong, write to "
            "{contact}: a person looks at it again.\n",
        ),
        "dismissed": (
            "Your account stays open",
            "A person decided not to {what}. You need not do anything. Questions go to {contact}.\n",
        ),
    }
)
_logger = logging.getLogger(__name__)


class Choices(Proposals):
    """Consents, channels, objections, versions, restrictions, ages, proposals, and the messages that heed them.

    Args:
        db: Opened as `troth_app`.
        keyring: Seals records and signs receipts.
        ledger: Where each choice is written.
        notices: What people saw.
        mail: The mail transport.
        links: How links in mails begin.
    """

    def __init__(
        self, db: Database, keyring: Keyring, ledger: Ledger, notices: Notices, mail: Mail, links: Links | None = None
    ) -> None:
        super().__init__(db, keyring, ledger, notices)
        self._mail = mail
        self._links = links or Links("")

    async def write_of_decision(self, permit: Permit, holder_id: UUID) -> int:
        """Mail somebody that what they objected to is decided. What was decided stays behind the sign-in.

        Args:
            permit: About this person or their organisation.
            holder_id: The subject or account.

        Returns:
            How many addresses were written to; a mail server that is away takes nothing back.
        """
        text = (
            f"Your objection was decided. Sign in to read what came of it, and why:\n\n{self._links.base_url}/choices\n"
        )
        return await self._write(permit, holder_id, "Your objection was decided", text)

    async def write_of_proposal(self, permit: Permit, holder_id: UUID, what: str, state: str) -> int:
        """Mail somebody that a program proposed something about them, or what a person decided about it.

        Args:
            permit: About this person or their organisation.
            holder_id: The account.
            what: Such as `account_closure`.
            state: `queued`, `confirmed` or `dismissed`.

        Returns:
            How many addresses were written to.
        """
        title, text = _PROPOSED[state]
        contact = await self._contact(await self.holder(permit, holder_id, (permit.action,)))
        text = text.format(what=WORDS.get(what, what.replace("_", " ")), contact=contact, url=self._links.base_url)
        return await self._write(permit, holder_id, title, text)

    async def _write(self, permit: Permit, holder_id: UUID, title: str, text: str) -> int:
        async with self._db.transaction(permit) as connection:
            rows = await store.addresses(connection, holder_id, with_former=True)
        for row in rows:
            address = email_of(self._keyring, row, row["id"])
            try:
                await self._mail.send(address, title, text, {})
            except (MailMalformed, MailNotSent):
                _logger.warning("a letter about a decision was not taken")
        return len(rows)

    async def _contact(self, holder: Holder) -> str:
        """Whom to write to: the address that the notice gives for it."""
        for version in await self.versions_for(holder):
            given = {getattr(each, "of", ""): getattr(each, "email", "") for each in version.notice.all("contact")}
            for who in ("dpo", "complaints", "company"):
                if given.get(who):
                    return str(given[who])
        return ""

    async def send_message(
        self, permit: Permit, holder_id: UUID, title: str, text: str, headers: Mapping[str, str] | None = None
    ) -> int:
        """Send an e-mail for the purpose of the permit. That it is sent is written first.

        Args:
            permit: To `send_message` to this person on the channel `email` (see `message_to`).
            holder_id: The subject or account.
            title: The subject line; nothing personal.
            text: The message.
            headers: Further headers. Of what advertises, those that its clause names are added, and the link that
                stops it (RFC 8058, RFC 2369).

        Returns:
            How many addresses it went to.

        Raises:
            FieldMalformed: Empty or too long.
            MarketingUnstoppable: It advertises, and no notice says how that is stopped.
            troth.kit.mail.MailNotSent: It was not taken.
        """
        if not title.strip() or not text.strip() or len(title) > 200 or len(text) > _LONGEST:
            raise FieldMalformed("a message has a title and a text")
        holder = await self.holder(permit, holder_id, ("send_message",))
        text, headers = await self._stoppable(permit, holder, text, dict(headers or {}))
        async with self._db.transaction(permit) as connection:
            rows = await store.addresses(connection, holder_id)
            told = {"title": title, "channel": "email"}
            await self._tell(
                connection,
                permit,
                holder,
                "people:message:sent",
                "given",
                {"addresses": len(rows)},
                told,
                clear=Clear(says={"channel": "email"}),
            )
        for row in rows:
            address = email_of(self._keyring, row, row["id"])
            await self._mail.send(address, title, text, headers)
        return len(rows)

    async def _stoppable(
        self, permit: Permit, holder: Holder, text: str, headers: dict[str, str]
    ) -> tuple[str, dict[str, str]]:
        """What advertises carries the way to end it, or does not go."""
        clause, is_marketing = unsubscription.clause_of(await self.versions_for(holder), permit.purpose)
        if not is_marketing:
            return text, headers
        if clause is None or not self._links.base_url:
            raise MarketingUnstoppable
        link = unsubscription.made(self._keyring, holder.key, holder.tenant, holder.id, permit.purpose)
        text, named = unsubscription.dressed(text, f"{self._links.base_url}/stop/{link.text}", clause)
        return text, headers | dict(named)

    async def reader_of_link(self, text: str) -> tuple[Actor, str] | None:
        """Who holds the link of a message, as somebody who may choose about themselves, and what it is about.

        Args:
            text: As it stands in the address.

        Returns:
            The person and the key of the activity; None where it is no link of ours, or nobody's any more.
        """
        link = unsubscription.read(text)
        if link is None:
            return None
        async with self._db.transaction(Space(link.tenant)) as connection:
            row = await store.reader(connection, link.holder_id)
        try:
            if row is None or not link.is_made_with(self._keyring, KeyRef(row["key"])):
                return None
        except KeyDestroyed:
            return None
        kind: ActorKind = "patient" if row["kind"] == "subject" else "user"
        subject_id = link.holder_id if kind == "patient" else None
        return Actor(kind, link.holder_id, link.tenant, row["role"], subject_id, via=BY_LINK), link.purpose


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
