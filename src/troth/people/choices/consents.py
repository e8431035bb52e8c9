"""Consents, channels, versions and ages: what a person alone decides, so that it stands at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection
from troth.notice import NoticeVersion
from troth.notice import clock as notice_clock
from troth.people.choices.model import Agreed, Choice, Holder, Said
from troth.people.choices.records import Records
from troth.people.errors import ChoiceNotFound, FieldMalformed
from troth.policy import Permit

CHANNELS = ("post", "email", "sms", "call", "automated_call", "push")
Answer = Literal["given", "refused", "withdrawn"]
_TOPIC_LENGTH = 64
_OLDEST_YEARS = 150


class Consents(Records):
    """The part of `Choices` that a person alone decides."""

    async def answer_consent(
        self,
        permit: Permit,
        holder_id: UUID,
        key: str,
        answer: Answer,
        said: Said | None = None,
        *,
        channel: str = "",
        lasts: timedelta | None = None,
    ) -> Choice:
        """Record a consent as given, refused or withdrawn; the next decision feels it.

        Args:
            permit: To `choose`, about this person.
            holder_id: Whose consent.
            key: Key of the consent in the notice.
            answer: `withdrawn` needs one that was given.
            said: How, and in which words.
            channel: For one channel only.
            lasts: For how long; without it as long as the notice says, or until it is withdrawn.

        Raises:
            ChoiceNotFound: No notice in force asks for it, or there is nothing to withdraw.
        """
        holder = await self.holder(permit, holder_id)
        version, clause = await self.clause_for(holder, "consent", key)
        about = f"{key}:{_channel(channel)}" if channel else key
        if answer == "withdrawn" and not await self._stands(permit, holder_id, "consent", about, "given"):
            raise ChoiceNotFound(hint="It was not given, or was withdrawn before.")
        expires_at = None
        if answer == "given":
            period = getattr(clause, "expires", None)
            expires_at = notice_clock.due_at(clock.now(), period, zone=version.notice.zone) if period else None
            expires_at = clock.now() + lasts if lasts is not None else expires_at
        shown = said or Said()
        shown = replace(shown, wording=shown.wording or getattr(clause, "wording_shown", ""))
        return await self._record(
            permit, holder, "consent", about, answer, version,
            said=shown, event="people:consent:recorded", clause=clause, expires_at=expires_at,
            more={"consent_type": "explicit", "lawful_basis": "eu-gdpr:A6-1-a"},
        )  # fmt: skip

    async def agree(self, connection: Connection, agreed: Agreed, holder: Holder) -> Choice:
        """Record the yes that a form needed, in the transaction that takes in what the form says.

        Args:
            connection: That transaction.
            agreed: The yes.
            holder: Whose it is: the account or subject that the form made known.
        """
        return await self._record(
            agreed.permit, holder, "consent", agreed.clause.key, "given", agreed.version,
            said=Said("form", agreed.wording), event="people:consent:recorded", clause=agreed.clause,
            more={"consent_type": "explicit", "lawful_basis": "eu-gdpr:A6-1-a"}, over=connection,
        )  # fmt: skip

    async def choose_channel(
        self,
        permit: Permit,
        holder_id: UUID,
        channel: str,
        said: Said | None = None,
        *,
        is_wanted: bool,
        topic: str = "",
    ) -> Choice:
        """Record whether somebody wants messages on a channel, or on a channel about a topic.

        Args:
            permit: To `choose`, about this person.
            holder_id: Whose choice.
            channel: One of `CHANNELS`.
            said: How, and in which words.
            is_wanted: Whether messages may come.
            topic: A marketing topic; empty for all.
        """
        holder = await self.holder(permit, holder_id)
        versions = await self.versions_for(holder)
        if not versions or len(topic) > _TOPIC_LENGTH or ":" in topic:
            raise ChoiceNotFound
        about = f"{_channel(channel)}:{topic}" if topic else _channel(channel)
        state: Answer = "given" if is_wanted else "refused"
        return await self._record(
            permit, holder, "channel", about, state, versions[0], said=said or Said(), event="people:channel:chosen"
        )

    async def answer_version(
        self, permit: Permit, holder_id: UUID, number: int, said: Said | None = None, *, is_accepted: bool
    ) -> Choice:
        """Object to a version of the notice, which pins the person to the activities of the one before; or accept it.

        Who is pinned already stays with the version that they had.

        Args:
            permit: To `choose`, about this person.
            holder_id: Whose answer.
            number: Number of the version that is objected to.
            said: How, and why.
            is_accepted: Accept it, which ends an objection.

        Raises:
            ChoiceNotFound: There is no such version, or none before it.
        """
        holder = await self.holder(permit, holder_id)
        for in_force in await self.versions_for(holder):
            published = {each.number: each for each in await self._notices.versions(in_force.name)}
            earlier = [each for each in published if each < number]
            if number not in published or not (earlier or is_accepted):
                continue
            pinned = published[number] if is_accepted else published[max(earlier)]
            if not is_accepted:
                pinned = await self._pinned_before(permit, holder_id, pinned, published)
            return await self._record(
                permit, holder, "version", in_force.name, "given" if is_accepted else "refused", published[number],
                said=said or Said(), event="people:version:answered", number=pinned.number,
                more={"counts_for_them": pinned.number, "purposes": _purposes(pinned)},
            )  # fmt: skip
        raise ChoiceNotFound(hint="There is no version before it to stay with.")

    async def state_age(self, permit: Permit, holder_id: UUID, born: date, said: Said | None = None) -> Choice:
        """Record a birth date that somebody stated; it stays sealed, decisions learn the age band alone.

        Raises:
            FieldMalformed: It is in the future, or too long ago.
        """
        if not 0 <= (clock.today() - born).days <= _OLDEST_YEARS * 366:
            raise FieldMalformed("no birth date")
        holder = await self.holder(permit, holder_id)
        versions = await self.versions_for(holder)
        if not versions:
            raise ChoiceNotFound
        return await self._record(
            permit, holder, "age", "birth_date", "given", versions[0],
            said=said or Said(), event="people:age:stated", more={"birth_date": born.isoformat()},
        )  # fmt: skip

    async def _stands(self, permit: Permit, holder_id: UUID, kind: str, key: str, state: str) -> bool:
        standing = await self.of_holder(permit, holder_id)
        return any((each.kind, each.key, each.state) == (kind, key, state) for each in standing)

    async def _pinned_before(
        self, permit: Permit, holder_id: UUID, pinned: NoticeVersion, published: dict[int, NoticeVersion]
    ) -> NoticeVersion:
        for each in await self.of_holder(permit, holder_id):
            if (each.kind, each.key, each.state) == ("version", pinned.name, "refused"):
                return published.get(min(each.version, pinned.number), pinned)
        return pinned


def _channel(channel: str) -> str:
    if channel not in CHANNELS:
        raise FieldMalformed("no such channel")
    return channel


def _purposes(version: NoticeVersion) -> list[str]:
    return [clause.key for clause in version.notice.all("purpose")]
