"""Who is invited, sealed together with what the invitation gives: neither is changed past the platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from troth.kit.db import Row
from troth.people.model import Invitation, digest_of
from troth.vault import KeyRef, Keyring


def sealed(
    keyring: Keyring, key: KeyRef, made: Invitation, invitee: Mapping[str, str], values: Mapping[str, Any]
) -> bytes:
    """Seal who is invited, and beside it the row's own words as they are made.

    Args:
        keyring: Seals it.
        key: The subject's key; of a future member the organisation's.
        made: The invitation.
        invitee: `email`, and of a future member `name`.
        values: `role` and `let_in_by`, or `subject_id` and `code_digest`, as they stand in the row.
    """
    given = _given({**values, "digest": digest_of(made.secret)})
    content = {**invitee, "given": given, "until": made.expires_at.timestamp()}
    return keyring.seal(key, json.dumps(content).encode(), _context(made.tenant, made.id))


def opened(keyring: Keyring, key: KeyRef, row: Row) -> dict[str, str]:
    """Who is invited.

    Args:
        keyring: Opens it.
        key: As it was sealed.
        row: The invitation.
    """
    content = json.loads(keyring.unseal(key, row["invitee_sealed"], _context(row["tenant"], row["id"])))
    return {str(name): str(value) for name, value in content.items()}


def is_as_made(keyring: Keyring, key: KeyRef, row: Row) -> bool:
    """Whether a row gives what was sealed with it, to whoever holds the secret of then, and no longer than then.

    Args:
        keyring: Opens it.
        key: As it was sealed.
        row: The invitation with all that it gives.
    """
    content = opened(keyring, key, row)
    return content.get("given") == _given(row) and row["expires_at"].timestamp() <= float(content["until"])


def _given(values: Mapping[str, Any]) -> str:
    """What an invitation gives, and the digests of its secret and its code."""
    subject_id, code = values.get("subject_id"), values.get("code_digest")
    parts = (
        bytes(values["digest"]).hex(), str(subject_id or ""), bytes(code).hex() if code else "",
        values.get("role") or "", " ".join(map(str, values.get("let_in_by") or ())),
    )  # fmt: skip
    return "|".join(parts)


def _context(tenant: UUID, invitation_id: UUID) -> bytes:
    return b"invitation:" + tenant.bytes + invitation_id.bytes
