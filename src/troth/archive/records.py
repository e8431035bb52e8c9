"""Rows of series and instances as records; what is sealed in them opens with the study's key."""

from __future__ import annotations

from troth.archive import sealing
from troth.archive.model import InstanceRecord, Row, SeriesRecord
from troth.archive.sealing import InstanceSecrets
from troth.vault import KeyRef, Keyring


def open_record(keyring: Keyring, key: KeyRef, instance: InstanceRecord) -> InstanceSecrets:
    """The object keys, digests and attributes of an instance.

    Raises:
        troth.vault.KeyDestroyed: The study was erased.
    """
    locators = [instance.head_locator] + ([instance.bulk_locator] if instance.bulk_locator is not None else [])
    return sealing.open_instance(keyring, key, instance.id, locators, instance.sealed)


def series_record(keyring: Keyring, key: KeyRef, row: Row) -> SeriesRecord:
    """A row of a series, unsealed."""
    values = sealing.open_values(keyring, key, "series", row["id"], row["sealed"])
    return SeriesRecord(row["id"], row["series_uid"], row["modality"], row["number"], row["instance_count"], values)


def instance_record(row: Row) -> InstanceRecord:
    """A row of an instance; its secrets stay sealed."""
    return InstanceRecord(
        id=row["id"],
        series_uid=row["series_uid"],
        instance_uid=row["instance_uid"],
        sop_class=row["sop_class"],
        syntax=row["syntax"],
        number=row["number"],
        rows=row["rows"],
        columns=row["columns"],
        frames=row["frames"],
        head_locator=row["head_locator"],
        head_bytes=row["head_bytes"],
        bulk_locator=row["bulk_locator"],
        bulk_bytes=row["bulk_bytes"],
        bulk_tag=row["bulk_tag"],
        bulk_vr=row["bulk_vr"],
        bulk_length=row["bulk_length"],
        frame_table=row["frame_table"] or b"",
        sealed=row["sealed"],
    )
