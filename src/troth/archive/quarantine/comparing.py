"""What a person sees of quarantine: groups without names, then one instance beside what it contradicts.

Looking at the two is written down before anything is given: what came under the organisation's key, because whose it is
cannot be believed, and what is held under its subject's, who so reads of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from troth import dicom
from troth.archive import attributes, permits, telling
from troth.archive.errors import QuarantineGone, StoredBytesBroken, WrongPermit
from troth.archive.keys import OrganisationKeys
from troth.archive.model import Row
from troth.archive.painter import Frames, Head, Painter
from troth.archive.quarantine import store
from troth.archive.quarantine.model import Against, Comparison, Group, Limits, Side
from troth.archive.quarantine.reading import Opened, Reading
from troth.archive.quarantine.sparing import Spared, Sparing
from troth.kit import clock
from troth.kit.db import Database
from troth.ledger import Ledger
from troth.policy import Permit, Target
from troth.vault import KeyDestroyed, KeyRef, Keyring, ObjectMissing, Packs, SealBroken

MOST_GROUPS: Final = 200
_COVERS: Final = timedelta(minutes=5)
_MOST_COVERED: Final = 2_000
_MOST_KEYWORDS: Final = 40
_DAMAGED: Final = (SealBroken, ObjectMissing, StoredBytesBroken, KeyDestroyed)

Which = Literal["kept", "held"]


class Comparing:
    """Lists and compares.

    Args:
        db: The database.
        keyring: Opens what is kept apart.
        packs: The objects.
        ledger: Is told before anything is given.
        keys: Keys of organisations.
        painter: Draws pictures.
        limits: When what is kept apart ends.
        sparing: Knows what a legal hold keeps.
    """

    def __init__(
        self, db: Database, keyring: Keyring, packs: Packs, ledger: Ledger, keys: OrganisationKeys, painter: Painter,
        limits: Limits, sparing: Sparing,
    ) -> None:  # fmt: skip
        self._db = db
        self._keyring = keyring
        self._reading = Reading(keyring, packs)
        self._ledger = ledger
        self._keys = keys
        self._painter = painter
        self._limits = limits
        self._sparing = sparing
        self._covered: dict[tuple[UUID | None, UUID, UUID | None], datetime] = {}

    async def groups(self, permit: Permit) -> list[Group]:
        """What is kept apart in an organisation, newest first; at most `MOST_GROUPS`.

        Args:
            permit: To `resolve` in the organisation.
        """
        tenant = permits.allowed(permit, "resolve")
        async with self._db.transaction(permit) as connection:
            rows = await store.groups(connection, tenant, limit=MOST_GROUPS)
            spared = await self._sparing.spared(connection, tenant)
        return [self._group(row, row, spared) for row in rows]

    async def against(self, permit: Permit, quarantined_id: UUID) -> Against:
        """Which study one contradicts; the caller decides whether it may be shown.

        Args:
            permit: To `resolve` in the organisation.
            quarantined_id: Which.

        Raises:
            QuarantineGone: There is no such one for this permit.
        """
        tenant = permits.allowed(permit, "resolve")
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, tenant, quarantined_id)
            if row is None:
                raise QuarantineGone
            held = await store.held_against(connection, self._keyring, tenant, row)
        if held is None:
            return Against(Target("study", tenant=tenant), "")
        target = Target(
            kind="study",
            id=held["study_id"],
            tenant=tenant,
            subject_id=held["surviving_id"],
            is_restricted=held["is_restricted"],
        )
        return Against(target, held["study_uid"])

    async def beside(self, permit: Permit, quarantined_id: UUID) -> list[UUID]:
        """The others of the same study and reason, newest first.

        Raises:
            QuarantineGone: There is no such one for this permit.
        """
        tenant = permits.allowed(permit, "resolve")
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, tenant, quarantined_id)
            if row is None:
                raise QuarantineGone
            names = await store.group_of(connection, tenant, row)
        return [one["id"] for one in names if one["id"] != quarantined_id]

    async def compare(self, permit: Permit, quarantined_id: UUID, on_held: Permit | None) -> Comparison:
        """One that is kept apart beside what it contradicts.

        Args:
            permit: To `resolve` in the organisation.
            quarantined_id: Which.
            on_held: To `resolve` the study that it contradicts; None where the reader may not see that.

        Raises:
            QuarantineGone: There is no such one for this permit.
        """
        row, held, names, spared = await self._begin(permit, quarantined_id, on_held)
        kept = await self._read(row)
        beside = await self._read_held(held) if held is not None else None
        place = next(number for number, one in enumerate(names) if one["id"] == quarantined_id)
        differing: tuple[str, ...] = ()
        are_same: bool | None = None
        if beside is not None:
            differing = await asyncio.to_thread(_differing, kept, beside)
            are_same = kept.secrets.bulk_sha256 == beside.secrets.bulk_sha256
        return Comparison(
            id=quarantined_id,
            group=self._group_of(row, names, spared),
            place=place + 1,
            before_id=names[place - 1]["id"] if place else None,
            after_id=names[place + 1]["id"] if place + 1 < len(names) else None,
            received_at=row["received_at"],
            kept=_side(kept, row["study_uid"]),
            held=_side(beside, held["study_uid"]) if beside is not None and held is not None else None,
            differing=differing,
            are_pixels_same=are_same,
            can_replace=held is not None and can_replace(row, held) and not spared.covers_study(held["study_uid"]),
        )

    async def picture(
        self, permit: Permit, quarantined_id: UUID, on_held: Permit | None, which: Which, size: tuple[int, int]
    ) -> bytes:
        """The first frame of one of the two, as JPEG.

        Args:
            permit: To `resolve` in the organisation.
            quarantined_id: Which is kept apart.
            on_held: To `resolve` the study that it contradicts; None where the reader may not see that.
            which: What came, or what is held.
            size: Most columns and rows.

        Raises:
            QuarantineGone: There is no such picture for this permit.
        """
        row, held, _, _ = await self._begin(permit, quarantined_id, on_held)
        if which == "held" and held is None:
            raise QuarantineGone
        try:
            opened = await (self._reading.kept(row) if which == "kept" else self._reading.held(held or {}))
            frame = await self._reading.frame(opened)
            options = {"media_type": "image/jpeg", "size": size}
            return await self._painter.paint(
                permit.actor.tenant, Head.of(opened.header.head), opened.header.syntax, Frames.of(frame), options
            )
        except (*_DAMAGED, dicom.Malformed, dicom.CannotRender):
            raise QuarantineGone from None

    async def _begin(
        self, permit: Permit, quarantined_id: UUID, on_held: Permit | None
    ) -> tuple[Row, Row | None, list[Row], Spared]:
        """The rows that are about to be read, after the ledger holds that they are."""
        tenant = permits.allowed(permit, "resolve")
        key = await self._keys.of(tenant)
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, tenant, quarantined_id)
            if row is None:
                raise QuarantineGone
            held = None
            if on_held is not None:
                permits.allowed(on_held, "resolve")
                held = await store.held_against(connection, self._keyring, tenant, row)
                if held is not None and on_held.target.id != held["study_id"]:
                    raise WrongPermit
            names = await store.group_of(connection, tenant, row)
            spared = await self._sparing.spared(connection, tenant)
            kind: Final = "archive:quarantine:compared"
            if self._is_new(permit, quarantined_id, None):
                uids = [row["instance_uid"]]
                entry = telling.of_instances(permit, kind, key, row["study_uid"], uids, reason=row["reason"])
                await self._ledger.append(connection, entry)
            if held is not None and on_held is not None and self._is_new(permit, quarantined_id, held["study_id"]):
                owner = HeldStudy(held)
                entry = telling.of_instances(on_held, kind, owner, held["study_uid"], [held["instance_uid"]])
                await self._ledger.append(connection, entry)
        now = clock.now()
        for study_id in (None, held["study_id"] if held is not None else None):
            self._covered[permit.actor.session_id, quarantined_id, study_id] = now
        return row, held, names, spared

    def _is_new(self, permit: Permit, quarantined_id: UUID, study_id: UUID | None) -> bool:
        """Whether an entry of the same reader, not five minutes old, does not cover this yet: a page has pictures."""
        if len(self._covered) > _MOST_COVERED:
            self._covered.clear()
        at = self._covered.get((permit.actor.session_id, quarantined_id, study_id))
        return permit.actor.session_id is None or at is None or clock.now() - at >= _COVERS

    async def _read(self, row: Row) -> Opened:
        try:
            return await self._reading.kept(row)
        except _DAMAGED:
            raise QuarantineGone from None

    async def _read_held(self, held: Row) -> Opened | None:
        try:
            return await self._reading.held(held)
        except _DAMAGED:
            return None

    def _group(self, row: Row, newest: Row, spared: Spared) -> Group:
        try:
            sender = self._reading.sender(newest)
        except (KeyDestroyed, SealBroken):
            sender = ""
        return Group(
            newest_id=newest["id"],
            reason=row["reason"],
            study_uid=row["study_uid"],
            modalities=tuple(row["modalities"] or ()),
            instances=row["number"],
            length_bytes=row["length_bytes"],
            first_at=row["first_at"],
            last_at=row["last_at"],
            ends_at=row["first_at"] + self._limits.lasts,
            sender=sender,
            is_held=spared.covers(row),
        )

    def _group_of(self, row: Row, names: Sequence[Row], spared: Spared) -> Group:
        whole: dict[str, Any] = {
            **row,
            "number": len(names),
            "length_bytes": sum(one["length_bytes"] for one in names),
            "first_at": min(one["received_at"] for one in names),
            "last_at": max(one["received_at"] for one in names),
            "modalities": sorted({one["modality"] for one in names if one["modality"]}),
        }
        return self._group(whole, row, spared)


class HeldStudy:
    """The study of a row that is held, for the ledger."""

    def __init__(self, held: Row) -> None:
        self.id: UUID = held["study_id"]
        self.subject_id: UUID = held["subject_id"]
        self.audit_key = KeyRef(bytes(held["audit_key"]))


def can_replace(row: Row, held: Row) -> bool:
    """Whether one that is kept apart can take the place of one that is held: of the same study, series and patient."""
    is_same_patient = row["patient_key_token"] in (held["patient_key_token"], held["corrected_key_token"])
    same = (row["study_uid"], row["series_uid"]) == (held["study_uid"], held["series_uid"])
    return row["reason"] == "duplicate-differs" and is_same_patient and same


def _side(opened: Opened, study_uid: str) -> Side:
    record = opened.record
    return Side(
        instance_uid=record.instance_uid,
        series_uid=record.series_uid,
        study_uid=study_uid,
        sop_class=record.sop_class,
        syntax=record.syntax,
        length_bytes=record.length_bytes,
        values=opened.header.values,
    )


def _differing(kept: Opened, held: Opened) -> tuple[str, ...]:
    """Keywords of the top-level attributes whose values differ."""
    first, second = (dicom.to_json(one.header.head, one.header.syntax, "") for one in (kept, held))
    tags = sorted(tag for tag in first.keys() | second.keys() if first.get(tag) != second.get(tag))
    return tuple(attributes.keyword_of(int(tag, 16)) or tag for tag in tags[:_MOST_KEYWORDS])
