"""Rows of the ledger's table: an entry as it is written, and as it is read again."""

from __future__ import annotations

import json
import os
from typing import Any
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Row
from troth.kit.errors import Gone, TrothError
from troth.ledger import leaf, opening, store
from troth.ledger.clear import NOTHING, Clear
from troth.ledger.errors import EntryRefused
from troth.ledger.model import PLATFORM, Entry, Event
from troth.ledger.sealer import Sealer


def written(entry: Entry, event_id: UUID, sealer: Sealer) -> tuple[Any, ...]:
    """The row of an entry, sealed and with its code, as `store.insert` takes it.

    Raises:
        KeyDestroyed: The key for the payload is gone (from the sealer).
    """
    tenant = entry.tenant or PLATFORM
    key, payload, commit = None, None, None
    if entry.payload:
        plain, commit = opening.packed(entry.payload, os.urandom(opening.SALT_BYTES))
        key, payload = entry.key, sealer.seal(entry.key, plain, _context(tenant, event_id))
    row = {
        "tenant": tenant,
        "id": event_id,
        "at": clock.now(),
        "kind": entry.kind,
        "actor_id": entry.actor_id,
        "actor_kind": entry.actor_kind,
        "role": entry.role,
        "subject_id": entry.subject_id,
        "study_id": entry.study_id,
        "purpose": entry.purpose,
        "clauses": entry.clauses,
        "decision_id": entry.decision_id,
        "outcome": entry.outcome,
        "counts": dict(entry.counts),
        "key": key,
        "payload": payload,
        "v": leaf.VERSION,
        "notice": entry.notice,
        "action": entry.action,
        "via": entry.via,
        "session": entry.session,
        "more": entry.clear.more or None,
        "payload_commit": commit,
    }
    row["mac"] = sealer.mac(leaf.covered(row))
    return store.values(row)


def opened(row: Row, sealer: Sealer) -> Event:
    """The event of a row, with its payload where that can be opened."""
    if row["payload"] is None:
        return event(row)
    try:
        plain = sealer.unseal(row["key"], row["payload"], _context(row["tenant"], row["id"]))
    except Gone:
        return event(row, is_shredded=True)
    except TrothError:  # also where its key is missing that nobody destroyed
        return event(row, is_damaged=True)
    if row["v"] == 1:
        return event(row, payload=json.loads(plain))
    payload, salt = opening.unpacked(plain)
    return event(row, payload=payload, salt=salt)


def event(row: Row, **found: Any) -> Event:
    """The event of a row, its payload closed."""
    try:
        clear = Clear.read(row["more"])
    except EntryRefused:  # `verify` names it
        clear, found["is_damaged"] = NOTHING, True
    return Event(
        id=row["id"],
        tenant=None if row["tenant"] == PLATFORM else row["tenant"],
        at=row["at"],
        kind=row["kind"],
        actor_id=row["actor_id"],
        actor_kind=row["actor_kind"],
        role=row["role"],
        subject_id=row["subject_id"],
        study_id=row["study_id"],
        purpose=row["purpose"],
        clauses=tuple(row["clauses"]),
        decision_id=row["decision_id"],
        outcome=row["outcome"],
        counts=row["counts"],
        index=row["index"],
        subject_seq=row["subject_seq"],
        checkpoint_size=row["checkpoint_size"],
        notice=row["notice"],
        action=row["action"],
        via=row["via"],
        session=row["session"],
        clear=clear,
        leaf_version=row["v"],
        **found,
    )


def _context(tenant: UUID, event_id: UUID) -> bytes:
    """What the sealed payload is bound to: it opens in no other row."""
    return b"ledger:payload:" + tenant.bytes + event_id.bytes
