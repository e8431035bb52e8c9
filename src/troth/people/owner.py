"""Whose a study is: the owner is the parent of its key, which the keyring authenticates; a row alone does not say it.

A study's key is wrapped under the key of the subject whose identifier it came with (`study.subject_id`, which no
statement ever changes), with the parent's reference in the additional data (`troth.vault.keyring`). So whoever can
write rows, and has no key, can point a study to another subject, and cannot make that subject its owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString
from uuid import UUID

from troth.vault import KeyRef, Keyring, SealBroken

#: Of a study `s`: keys and sealed part of the subject it came with, and whether it is shown to whom the merges say.
COLUMNS: LiteralString = """(select array[o.key, o.audit_key, o.demographics_sealed] from subject o
    where o.tenant = s.tenant and o.id = s.subject_id) as owner,
    s.surviving_id = coalesce((select m.surviving_id from subject_merge m where m.tenant = s.tenant
    and m.subject_id = s.subject_id and m.ended_at is null), s.subject_id) as is_with_owner"""


def subject_context(tenant: UUID, subject_id: UUID) -> bytes:
    """What sealed demographics are bound to."""
    return b"subject:" + tenant.bytes + subject_id.bytes


def is_owned(keyring: Keyring, row: Mapping[str, Any]) -> bool:
    """Whether a study belongs to the subject that its row names, and is shown to nobody but them or who they are now.

    Args:
        keyring: The keyring.
        row: `tenant`, `key`, `audit_key` and `origin_id` of a study, with `COLUMNS`.

    Raises:
        troth.vault.KeyDestroyed: The study was erased.
    """
    parent = keyring.parent_of(KeyRef(row["key"]))
    if row["owner"] is None or not row["is_with_owner"]:
        return False
    key, audit_key, sealed = row["owner"]
    if parent != KeyRef(key) or row["audit_key"] != audit_key:
        return False
    try:  # the key of another subject, written into this one's row, does not open what is sealed of this one
        keyring.unseal(parent, sealed, subject_context(row["tenant"], row["origin_id"]))
    except SealBroken:
        return False
    return True
