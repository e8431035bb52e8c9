"""What an account accepted when it was made: which versions of notice and terms, when, and through which door.

Use means acceptance, so every way to an account writes it down in the transaction that makes the account. A later
version changes nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row
from troth.notice import Notices, NoticeVersion
from troth.people import sources_store as store
from troth.people.choices.model import Agreed, Holder
from troth.people.errors import SubjectNotFound
from troth.people.model import Organisation, Subject, demographics_from_bytes
from troth.people.names import displayed
from troth.people.owner import subject_context
from troth.people.room import Account, Room
from troth.policy import Actor, Clear, Permit
from troth.vault import KeyDestroyed, KeyRef

AUDIENCES: Final = {"user": "users", "patient": "patients"}
BY_INVITATION: Final = "invitation"
BY_SIGN_IN: Final = "sign_in"
_SEEING = ("see_request", "decide_request")


@dataclass(frozen=True, slots=True)
class Document:
    """One text that is accepted with an account.

    Attributes:
        document: `notice` or `terms`.
        version: The version of the notice; the terms are a clause of it.
        key: Of the terms.
        edition: Of the terms.
    """

    document: str
    version: NoticeVersion
    clause: str = ""
    key: str = ""
    title: str = ""
    edition: str = ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One text that was accepted.

    Attributes:
        door: `invitation` or `sign_in`.
        address: Network address that it came from.
        name: Of who accepted; filled for lists only.
    """

    id: UUID
    account_id: UUID
    subject_id: UUID | None
    document: str
    notice: str
    number: int
    clause: str
    title: str
    edition: str
    door: str
    accepted_at: datetime
    address: str = field(default="", repr=False)
    name: str = field(default="", repr=False)


def documents(versions: Sequence[NoticeVersion], audience: str, region: str = "") -> list[Document]:
    """What somebody accepts who gets an account now.

    Args:
        versions: In force.
        audience: `patients` or `users`.
        region: Country of the organisation that lets them in.
    """
    found = []
    for version in versions:
        if not version.notice.applies_to(audience, region):
            continue
        found.append(Document("notice", version))
        for clause in version.notice.all("accept"):
            if audience in clause.audiences and getattr(clause, "is_with_account", True):
                told = clause.content()
                found.append(Document("terms", version, clause.id, clause.key, told["title"], told["edition"]))
    return found


class Acceptances(Room):
    """The part of `People` that writes down what an account accepted."""

    _notices: Notices | None = None
    _keep: Callable[[Connection, Agreed, Holder], Awaitable[object]] | None = None

    def read_notices(self, notices: Notices) -> None:
        """Say where the versions in force are; from then on no account is made without them being written down.

        Args:
            notices: What was published.
        """
        self._notices = notices

    def keep_agreements(self, keep: Callable[[Connection, Agreed, Holder], Awaitable[object]]) -> None:
        """Say what records the yes that a form needs: in the transaction that makes the account.

        Args:
            keep: `Choices.agree`.
        """
        self._keep = keep

    async def _agree(
        self, connection: Connection, agreed: Agreed | None, tenant: UUID, whose: Account | Subject
    ) -> None:
        """Record the yes of a form, where it needed one."""
        if agreed is not None:
            assert self._keep is not None
            is_subject = isinstance(whose, Subject)
            audit_key = whose.audit_key if isinstance(whose, Subject) else whose.key
            await self._keep(
                connection,
                agreed,
                Holder(whose.id, tenant, "subject" if is_subject else "account", whose.key, audit_key),
            )

    async def _documents(self, kind: str, region: str) -> list[Document]:
        """What somebody accepts who gets an account now; see `documents`."""
        versions = await self._notices.current() if self._notices is not None else []
        return documents(versions, AUDIENCES[kind], region)

    async def acceptances(self, permit: Permit) -> list[Acceptance]:
        """What was accepted: by the person the permit is about, or by everybody of its organisation, newest first.

        Args:
            permit: To see what is held of one person or of the organisation; that it is read is written first.

        Raises:
            SubjectNotFound: The permit is for something else.
        """
        if permit.tenant is None or permit.action not in (*_SEEING, "choose"):
            raise SubjectNotFound
        organisation = await self.organisation(permit.tenant)
        own = permit.actor if permit.target.subject_id is not None else None
        if own is not None and permit.target.subject_id not in (own.id, own.subject_id):
            raise SubjectNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.acceptances(connection, own.id if own else None, own.subject_id if own else None)
            if own is None:
                await self._note(
                    connection, "people:accounts:listed", permit.actor, organisation.id, organisation.key,
                    permit=permit, counts={"accounts": len({row["account_id"] for row in rows})},
                )  # fmt: skip
        return [self._acceptance(row) for row in rows]

    async def accepted_by_subject(self, permit: Permit, subject_id: UUID) -> list[Acceptance]:
        """What the accounts of one subject accepted, for a copy; that the copy is made is written by whoever makes it.

        Args:
            permit: Whose target is the subject, its organisation or one of its requests.
            subject_id: The subject.

        Raises:
            SubjectNotFound: The permit is for another subject.
        """
        if permit.target.subject_id not in (None, subject_id):
            raise SubjectNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.acceptances_of_subject(connection, subject_id)
        return [self._acceptance(row) for row in rows]

    async def _accept(
        self,
        connection: Connection,
        found: Sequence[Document],
        organisation: Organisation,
        account: Account,
        actor: Actor,
        door: str,
        address: str,
        subject: Subject | None = None,
    ) -> None:
        """Write down what an account that is being made accepts; what was written before stays as it is."""
        now, written = clock.now(), 0
        key = subject.key if subject else account.key
        for each in found:
            made_id = ids.uuid7()
            told = json.dumps({"address": address}).encode()
            values = {
                "tenant": organisation.id,
                "id": made_id,
                "account_id": account.id,
                "subject_id": subject.id if subject else None,
                "document": each.document,
                "notice": each.version.name,
                "number": each.version.number,
                "version_id": each.version.id,
                "clause": each.clause,
                "key": each.key,
                "title": each.title,
                "edition": each.edition,
                "door": door,
                "accepted_at": now,
                "sealed": self._keyring.seal(key, told, _context(organisation.id, made_id)),
            }
            written += await store.insert_acceptance(connection, values)
        if written:
            await self._note(
                connection, "people:terms:accepted", actor, organisation.id,
                subject.audit_key if subject else organisation.key,
                subject_id=subject.id if subject else None,
                purpose="own_access" if subject else "administration",
                payload={"address": address, "door": door, "accepted": [_named(each) for each in found]},
                counts={"documents": written},
                clear=_clear(account, found, door),
            )  # fmt: skip

    def _acceptance(self, row: Row) -> Acceptance:
        told: Mapping[str, Any] = {}
        name = ""
        try:
            key = KeyRef(row["subject_key"] or row["account_key"])
            told = json.loads(self._keyring.unseal(key, row["sealed"], _context(row["tenant"], row["id"])))
            name = self._name_of(row)
        except KeyDestroyed:
            pass  # erased meanwhile; that something was accepted remains until the row goes
        words = ("id", "account_id", "subject_id", "document", "notice", "number", "clause", "title", "edition", "door")
        return Acceptance(
            **{word: row[word] for word in words},
            accepted_at=row["accepted_at"],
            address=str(told.get("address", "")),
            name=name,
        )

    def _name_of(self, row: Row) -> str:
        tenant, subject_id = row["tenant"], row["subject_id"]
        if row["demographics_sealed"] is not None:
            context = subject_context(tenant, subject_id)
            plain = self._keyring.unseal(KeyRef(row["subject_key"]), row["demographics_sealed"], context)
            return displayed(demographics_from_bytes(plain)[1].name)
        if row["name_sealed"] is not None:
            context = b"member:" + tenant.bytes + row["account_id"].bytes
            return self._keyring.unseal(KeyRef(row["account_key"]), row["name_sealed"], context).decode()
        return ""


def _clear(account: Account, found: Sequence[Document], door: str) -> Clear:
    versions = {each.version.id: ("version", each.version.id) for each in found}
    accepts = (f"{each.key or each.document}:{each.edition or each.version.number}" for each in found)
    return Clear(refs=(("account", account.id), *versions.values()), says={"accepts": "+".join(accepts), "door": door})


def _named(each: Document) -> str:
    return f"{each.version.name} {each.version.number}" + (f": {each.title}, {each.edition}" if each.title else "")


def _context(tenant: UUID, acceptance_id: UUID) -> bytes:
    return b"acceptance:" + tenant.bytes + acceptance_id.bytes
