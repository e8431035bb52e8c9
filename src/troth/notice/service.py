"""Publish a notice, and find the one in force."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row, Space
from troth.ledger import Allowed, Clear, Entry, entry, refs
from troth.notice import store
from troth.notice.checking import check
from troth.notice.difference import diff
from troth.notice.errors import (
    NothingInForce,
    NoticeAltered,
    NoticeConflict,
    NoticeMalformed,
    SecondPersonMissing,
    VersionNotFound,
)
from troth.notice.loading import parse
from troth.notice.model import Notice
from troth.notice.version import NoticeVersion, People, message

ACTION = "publish_notice"
_logger = logging.getLogger(__name__)


class Signer(Protocol):
    """What signs for the deployment; the keyring does."""

    @property
    def public_key(self) -> bytes:
        """What its signatures are checked with: raw Ed25519, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature over a message."""
        ...


class Appender(Protocol):
    """What writes into the ledger."""

    async def require_whole(self, connection: Connection, *registers: str) -> None:
        """Refuse to go on where rows are not what the ledger says."""

    async def append(self, connection: Connection, entry: Entry) -> UUID:
        """Append an entry in the caller's transaction."""
        ...


class Notices:
    """The published notices of the deployment.

    Args:
        db: The database.
        keyring: Signs for the deployment.
        ledger: Where publishing is written down.
    """

    def __init__(self, db: Database, keyring: Signer, ledger: Appender) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self._read: dict[UUID, NoticeVersion] = {}
        self._altered: set[UUID] = set()

    async def publish(self, permit: Allowed, notice: Notice, second_person: Allowed) -> NoticeVersion:
        """Publish a version. The same text again is no new version: the one that is there is given back.

        Args:
            permit: Of the person who publishes, for the action `publish_notice`.
            notice: What is published; it has to pass the check.
            second_person: Permit of another person for the same action: their agreement.

        Raises:
            SecondPersonMissing: Not two different people who may publish.
            NoticeMalformed: The check found problems.
            NoticeConflict: The number was published with other words, or a later one was published before.
        """
        people = _two_people(permit, second_person)
        return await self._put(permit, notice, people, is_founding=False)

    async def put_in_force(self, permit: Allowed, notice: Notice) -> NoticeVersion:
        """Begin with a notice: its first version, by whoever sets the deployment up. The same text again is no change.

        Args:
            permit: For the action `publish_notice`.
            notice: What is put in force; it has to pass the check.

        Raises:
            NoticeMalformed: The check found problems.
            NoticeConflict: Another version was published before: a change takes two people, see `publish`.
            SecondPersonMissing: The permit is for something else.
        """
        if permit.action != ACTION:
            raise SecondPersonMissing
        return await self._put(permit, notice, (permit.actor.id, None), is_founding=True)

    async def _put(self, permit: Allowed, notice: Notice, people: People, *, is_founding: bool) -> NoticeVersion:
        if problems := check(notice):
            raise NoticeMalformed(problems)
        async with self._db.transaction(None) as connection:
            return await self.put_in(connection, permit, notice, people, is_founding=is_founding)

    async def put_in(
        self,
        connection: Connection,
        permit: Allowed,
        notice: Notice,
        people: People,
        *,
        is_founding: bool = False,
        is_material: bool = False,
    ) -> NoticeVersion:
        """Put a version into force in a transaction at hand; it has passed its check.

        Args:
            connection: In a transaction.
            permit: Of the person whose act puts it in force.
            notice: What it says.
            people: Who published it and who agreed.
            is_founding: The first version.
            is_material: Two people say that it affects data we already hold, whatever the difference says.

        Raises:
            NoticeConflict: The number was published with other words, or a later one was published before.
        """
        sha256 = hashlib.sha256(notice.source.encode()).digest()
        await store.lock(connection, notice.name)
        await self._ledger.require_whole(connection, "notice_version", "notice_proposal")
        rows = await store.all_of(connection, notice.name)
        for row in rows:
            if row["number"] == notice.version and bytes(row["sha256"]) == sha256:
                return self._version(row)
        if rows and is_founding:
            raise NoticeConflict(
                f"The notice {notice.name} was published before, and says something else.",
                hint="A change is published by two people: troth notice publish --next, then troth notice agree.",
            )
        if rows and rows[0]["number"] >= notice.version:
            raise NoticeConflict(
                f"Version {rows[0]['number']} of {notice.name} was published before, and says something else.",
                hint=f"Give it the number {rows[0]['number'] + 1} or a later one.",
            )
        weighs = is_material or bool(rows and diff(self._version(rows[0]).notice, notice).is_material)
        version = self._signed(notice, sha256, people, is_founding, weighs)
        await store.add(connection, version)
        await self._ledger.append(connection, _entry(permit, version))
        return version

    async def current(self) -> list[NoticeVersion]:
        """The versions in force now, one of each notice, by name.

        A version that is not what was signed does not count: the one before it stays in force.

        Raises:
            NoticeAltered: Of some notice no version is left that is what was signed.
        """
        now = clock.now()
        async with self._db.transaction(None) as connection:
            listed = await store.catalogue(connection, now.date() + timedelta(days=1))  # no zone is further ahead
            if unread := [row["id"] for row in listed if row["id"] not in self._read]:
                for row in await store.by_ids(connection, unread):
                    self._sound(row)
        found: dict[str, NoticeVersion] = {}
        for row in listed:
            version = self._read.get(row["id"])
            if version is not None and version.counts_at(now):
                found.setdefault(version.name, version)
        if lost := {row["notice"] for row in listed if row["id"] in self._altered} - set(found):
            raise NoticeAltered(hint=f"No version of {', '.join(sorted(lost))} can be loaded: restore a backup.")
        return [found[name] for name in sorted(found)]

    async def in_force(self, audience: str = "patients") -> NoticeVersion:
        """The version in force today for an audience.

        Args:
            audience: `patients`, `users` or `visitors`.

        Raises:
            NothingInForce: No notice was published for them, or none counts yet.
        """
        found = [version for version in await self.current() if audience in version.notice.audiences]
        if not found:
            raise NothingInForce
        return max(found, key=lambda version: (version.effective_on, version.number))

    async def changes(self) -> list[UUID]:
        """Ids of every version that changed another, in the order in which they were published."""
        async with self._db.transaction(None) as connection:
            return await store.changes(connection)

    async def version(self, number: int, name: str | None = None) -> NoticeVersion:
        """One version by its number.

        Args:
            number: Its number.
            name: Short name of the notice; needed where a deployment has several.

        Raises:
            VersionNotFound: No version has this number.
        """
        for version in await self.versions(name):
            if version.number == number:
                return version
        raise VersionNotFound

    async def versions(self, name: str | None = None) -> list[NoticeVersion]:
        """All versions that are what was signed, newest first.

        Args:
            name: Of one notice only.
        """
        async with self._db.transaction(None) as connection:
            rows = await store.all_of(connection, name)
        return [version for version in map(self._sound, rows) if version is not None]

    async def altered(self) -> list[tuple[UUID, str, int]]:
        """Versions whose rows are not what was signed: id, name and number. Every row is looked at anew."""
        async with self._db.transaction(None) as connection:
            rows = await store.all_of(connection)
        read = [(row, _read(row)) for row in rows]
        return [
            (row["id"], row["notice"], row["number"])
            for row, version in read
            if version is None or not version.is_signed_by(self._keyring.public_key)
        ]

    def _signed(
        self, notice: Notice, sha256: bytes, people: People, is_founding: bool, is_material: bool
    ) -> NoticeVersion:
        signed = message(notice.name, notice.version, notice.head.effective_on, sha256, people)
        return NoticeVersion(
            id=ids.uuid7(),
            name=notice.name,
            number=notice.version,
            effective_on=notice.head.effective_on,
            sha256=sha256,
            signature=self._keyring.sign(signed),
            published_at=clock.now(),
            published_by=people[0],
            second_person=people[1],
            is_founding=is_founding,
            notice=notice,
            is_material=is_material,
        )

    def _version(self, row: Row) -> NoticeVersion:
        """A version from its row; published text never changes, so it is parsed once.

        Raises:
            NoticeAltered: It is not what was signed.
        """
        known = self._sound(row)
        if known is None:
            raise NoticeAltered(hint="It names each row that was altered: troth verify.")
        return known

    def _sound(self, row: Row) -> NoticeVersion | None:
        """The same; None where the row is not what was signed. That is said once."""
        known = self._read.get(row["id"])
        if known is None and row["id"] not in self._altered:
            read = _read(row)
            if read is not None and read.is_signed_by(self._keyring.public_key):
                known = self._read[row["id"]] = read
            else:
                self._altered.add(row["id"])
                _logger.error("notice %s, version %d: not what was signed; not loaded", row["notice"], row["number"])
        return known


def _read(row: Row) -> NoticeVersion | None:
    """A version as its row says it; None where that is no notice at all."""
    try:
        notice = parse(row["source"], f"{row['notice']}.yaml")
    except NoticeMalformed:
        return None
    return NoticeVersion(
        id=row["id"],
        name=row["notice"],
        number=row["number"],
        effective_on=row["effective_on"],
        sha256=bytes(row["sha256"]),
        signature=bytes(row["signature"]),
        published_at=row["published_at"],
        published_by=row["published_by"],
        second_person=row["second_person"],
        is_founding=row["is_founding"],
        notice=notice,
        is_material=row["is_material"],
    )


def _two_people(permit: Allowed, second_person: Allowed) -> tuple[UUID, UUID]:
    first, second = permit.actor.id, second_person.actor.id
    both_may = permit.action == second_person.action == ACTION
    if first is None or second is None or first == second or not both_may:
        raise SecondPersonMissing
    return first, second


def _entry(permit: Allowed, version: NoticeVersion) -> Entry:
    return entry(
        permit,
        "notice:version:published",
        space=Space(None),
        clear=Clear(
            refs=refs(version=version.id),
            says={"notice": version.name, "sha256": version.sha256.hex()},
            dates={"effective_on": version.effective_on},
            people=tuple(each for each in (version.published_by, version.second_person) if each is not None),
        ),
        counts={
            "number": version.number,
            "clauses": len(version.notice.clauses),
            "material": int(version.is_material),
        },
    )
