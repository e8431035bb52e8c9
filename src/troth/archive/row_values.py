"""What goes into the clear columns of a row, and the row of an instance."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

from troth.archive import advice, sealing
from troth.archive import attributes as tags
from troth.archive.model import Received
from troth.archive.receiver import locators_of
from troth.archive.sealing import InstanceSecrets
from troth.dicom import Header
from troth.kit import numbers
from troth.vault import KeyRef, Keyring

_MODALITY: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
_LARGEST_INT4: Final = 2**31 - 1


def instance_row(
    keyring: Keyring, key: KeyRef, received: Received, row_id: UUID, sent: Received | None = None
) -> dict[str, Any]:
    """What the row of an instance says of its bytes.

    Args:
        keyring: Seals.
        key: The study's key.
        received: The instance as it is kept.
        row_id: Id of the row.
        sent: The instance as it was sent, where that differs.
    """
    header, bulk = received.header, received.bulk
    values = tags.picked(header.values, tags.INSTANCE_TAGS | tags.RETURNED_TAGS) | advice.told_of(header)
    secrets = InstanceSecrets.of(received, values, sent)
    return {
        "id": str(row_id),
        "instance_uid": header.instance_uid,
        "sop_class": header.sop_class,
        "syntax": header.syntax,
        "number": number_of(header.values.get(tags.INSTANCE_NUMBER, "")),
        "rows": header.rows or None,
        "columns": header.columns or None,
        "frames": min(header.frames, _LARGEST_INT4),
        "head_locator": as_bytea(received.head.locator),
        "head_bytes": received.head.length_bytes,
        "bulk_locator": as_bytea(bulk.locator) if bulk else None,
        "bulk_bytes": bulk.length_bytes if bulk else 0,
        "bulk_tag": header.bulk_tag,
        "bulk_vr": header.bulk_vr,
        "bulk_length": header.bulk_length,
        "frame_table": as_bytea(received.frame_table) if received.frame_table else None,
        "sealed": as_bytea(sealing.seal_instance(keyring, key, row_id, locators_of(received), secrets)),
    }


def modality_of(header: Header) -> str:
    """Modality for the clear column: only what can be one (CS), so that no free text gets there."""
    modality = header.values.get(tags.MODALITY, "").strip()
    return modality if _MODALITY.fullmatch(modality) else ""


def number_of(text: str) -> int | None:
    """An IS value for an integer column, or None when it does not fit."""
    return numbers.whole(text.split("\\", 1)[0], least=-_LARGEST_INT4, most=_LARGEST_INT4)


def as_bytea(content: bytes) -> str:
    """Bytes as PostgreSQL's own text for `bytea`."""
    return "\\x" + content.hex()
