"""What is held of a member of an organisation, who has an account and is no patient: for their page and their copy.

Per: GDPR Art. 15.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from troth import policy
from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.kit.mail import Mail
from troth.ledger import Event, Ledger
from troth.notice import Contact, Notice, Notices, applying
from troth.people import Acceptance, Choice, Choices, ContactRecord, Contacts, Organisation, People, Proposal, User
from troth.policy import Permit
from troth.rights.errors import QuestionTooLong, WrongPermit
from troth.rights.known import Known, Origin, Source, as_json, clause_of, way
from troth.rights.known_factors import factor_known
from troth.rights.reader import ReaderClock, clock_for

_MOST: Final = 1000
_LONGEST: Final = 5000
_STARTED: Final = "people:session:started"


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """Everything that is held of one account in one organisation. Personal: never logged."""

    organisation: str
    made_at: datetime
    notices: tuple[str, ...]
    items: tuple[Known, ...] = field(repr=False)
    accepted: tuple[Acceptance, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The copy for programs."""
        return {
            "format": "troth account 1",
            "held_by": self.organisation,
            "made_at": self.made_at.isoformat(),
            "notices": list(self.notices),
            "accepted": [accepted_json(each) for each in self.accepted],
            **as_json(self.items),
        }


class Accounts:
    """What is held of accounts.

    Args:
        database: As `troth_app`.
        ledger: What was observed; each look is written there first.
        notices: Which sources the notices list.
        people: Members and what they accepted.
        choices: What they chose.
        contacts: What lists told of them.
        mail: Carries questions to support.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        notices: Notices,
        people: People,
        choices: Choices,
        contacts: Contacts,
        mail: Mail,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._notices = notices
        self._people = people
        self._choices = choices
        self._contacts = contacts
        self._mail = mail

    async def own(self, permit: Permit) -> OwnAccount:
        """What is held of whoever acts, as member of the organisation where they stand.

        Args:
            permit: Of a member, about themselves.

        Raises:
            WrongPermit: It is about somebody else.
        """
        actor = permit.actor
        if actor.id is None or actor.tenant is None or permit.target.subject_id != actor.id:
            raise WrongPermit
        organisation = await self._people.organisation(actor.tenant)
        await self._write(permit, organisation)
        user = await self._people.user(permit, actor.id)
        accepted = await self._people.acceptances(permit)
        records = await self._contacts.records_of_account(permit, actor.id)
        standing = await self._choices.of_holder(permit, actor.id)
        proposals = await self._choices.proposals_about(permit, actor.id)
        factors, _ = await self._people.factors_of(actor)
        current = [version.notice for version in await self._notices.current()]
        notices = list(applying(current, "users", organisation.region)) or current
        async with self._database.transaction(permit) as connection:
            acts = await self._acts(connection, permit)
        reader = clock_for([user.zone], notices[0].zone if notices else UTC)
        items = [
            *_provided(user, organisation, notices),
            *(_accepted(each, notices) for each in accepted),
            *(_chosen(each, notices) for each in standing),
            *(item for each in records for item in _listed(each, organisation)),
            *(_proposed(each, notices) for each in proposals),
            *(factor_known(each, clause_of(notices, "subject", "users", "account"), reader) for each in factors),
            *_observed(acts, notices, reader),
        ]
        labels = tuple(notice.label for notice in notices)
        return OwnAccount(organisation.name, clock.now(), labels, tuple(items), tuple(accepted))

    async def ask_support(self, permit: Permit, text: str) -> None:
        """Send a question to those whose address stands in the notice. That it is sent is written first.

        Args:
            permit: To ask for support.
            text: The question.

        Raises:
            WrongPermit: It is for something else.
            QuestionTooLong: It is no question but a book.
            troth.kit.mail.MailNotSent: It was not taken.
        """
        actor = permit.actor
        if permit.action != "ask_support" or actor.id is None or actor.tenant is None:
            raise WrongPermit
        if not text.strip() or len(text) > _LONGEST:
            raise QuestionTooLong
        organisation = await self._people.organisation(actor.tenant)
        user = await self._people.user(permit, actor.id)
        notice = (await self._notices.in_force("users")).notice
        contacts = [each for each in notice.all("contact") if isinstance(each, Contact) and each.email]
        if not contacts:
            raise WrongPermit
        await self._write(permit, organisation, "people:support:asked")
        said = f"{user.name}, {user.email}, {organisation.name}, asks:\n\n{text.strip()}\n"
        await self._mail.send(contacts[0].email, "A question to support", said, {"Reply-To": user.email})

    async def _acts(self, connection: Connection, permit: Permit) -> list[Event]:
        found = await self._ledger.latest(connection, kinds=None, limit=_MOST)
        return [event for event in found if event.actor_id == permit.actor.id]

    async def _write(self, permit: Permit, organisation: Organisation, kind: str = "people:account:opened") -> None:
        entry = policy.entry(permit, kind, key=organisation.key, payload={"organisation": organisation.name})
        await self._ledger.write(self._database, permit, [entry])


def accepted_json(each: Acceptance) -> dict[str, Any]:
    """What was accepted, for a copy."""
    return {
        "document": each.document,
        "notice": each.notice,
        "version": each.number,
        "clause": each.clause,
        "title": each.title,
        "edition": each.edition,
        "accepted_at": each.accepted_at.isoformat(),
        "door": each.door,
        "address": each.address,
    }


def accepted_words(each: Acceptance) -> str:
    """What was accepted, as a person reads it."""
    if each.document == "terms":
        return f"{each.title}, edition {each.edition} (§ {each.clause} of {each.notice}, version {each.number})"
    return f"Privacy notice {each.notice}, version {each.number}"


def _provided(user: User, organisation: Organisation, notices: Sequence[Notice]) -> list[Known]:
    clause = clause_of(notices, "controller", "users", "account")
    source = Source(
        "controller",
        f"an administrator of {organisation.name}",
        "what was entered there when you were invited",
        clause,
    )
    told = (("Name", user.name), ("E-mail", user.email), ("Role", user.role), ("Organisation", organisation.name))
    found = [Known(what, value, "provided", source) for what, value in told]
    if user.zone:
        clause = clause_of(notices, "subject", "users", "account")
        found.append(Known("Times shown in", user.zone, "provided", Source("subject", "you", way("page"), clause)))
    return found


def _accepted(each: Acceptance, notices: Sequence[Notice]) -> Known:
    source = Source(
        "subject", "you", way(each.door), clause_of(notices, "subject", "users", "account"), each.accepted_at
    )
    return Known("Accepted", accepted_words(each), "provided", source)


def _chosen(each: Choice, notices: Sequence[Notice]) -> Known:
    said = str(each.record.get("birth_date", "")) if each.kind == "age" else each.state
    events = each.record.get("events") or [{}]
    how = way(str(events[-1].get("how", "page")))
    source = Source("subject", "you", how, clause_of(notices, "subject", "users", "choices"), each.made_at)
    return Known(f"Choice {each.reference}: {each.wording or each.key}", said, "provided", source)


def _listed(each: ContactRecord, organisation: Organisation) -> list[Known]:
    """What a list told, and what was concluded from it."""
    origin: Origin = "third_party" if each.origin == "third_party" else "controller"
    how = f"a list of people ({each.source.replace('_', ' ')}), line {each.line}, by {way(each.way)}"
    source = Source(origin, each.supplier, how, each.clause, each.obtained_at)
    told = [
        Known("E-mail", each.email, "provided", source),
        *(Known(name.capitalize(), value, "provided", source) for name, value in each.told.items()),
    ]
    by_us = Source("device", "our own programs", "comparing addresses", each.clause, each.linked_at)
    about = f"You are who {each.supplier} names on its list"
    because = f"the address on the list of {each.supplier} is that of your account at {organisation.name}"
    told.append(Known("Who you are", about, "inferred", by_us, because))
    if each.ended_at is None and origin == "controller":
        right = "You belong to them, so what they arranged for their people is yours, such as support"
        told.append(Known("What you may have", right, "inferred", by_us, because))
    return told


def _proposed(each: Proposal, notices: Sequence[Notice]) -> Known:
    clause = clause_of(notices, "device", "users", "ledger")
    source = Source("device", "our own programs", "looking through accounts", clause, each.made_at)
    return Known(f"Proposed: {each.what.replace('_', ' ')}", "a person decides", "inferred", source, each.ground)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _observed(acts: Sequence[Event], notices: Sequence[Notice], reader: ReaderClock) -> list[Known]:
    clause = clause_of(notices, "device", "users", "ledger")
    found = []
    for kind, times in Counter(event.kind for event in acts).items():
        last = max(event.at for event in acts if event.kind == kind)
        sentence = next(event.sentence for event in acts if event.kind == kind)
        how = "the session of your browser" if kind == _STARTED else "the ledger of this service"
        source = Source("device", "our own programs", how, clause, last)
        found.append(
            Known(
                "You signed in" if kind == _STARTED else sentence,
                f"{_times(times)}, last on {reader.moment(last)}",
                "observed",
                source,
            )
        )
    return sorted(found, key=lambda each: each.what)
