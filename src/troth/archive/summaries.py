"""From rows to what other rooms see: studies, series and instances with their attributes unsealed."""

from __future__ import annotations

from collections.abc import Mapping

from troth import people
from troth.archive import attributes as tags
from troth.archive import sealing
from troth.archive.coercing import Standing
from troth.archive.errors import StudyMisplaced
from troth.archive.model import NO_DATE, Found, InstanceRecord, Row, SeriesRecord, StudySummary
from troth.vault import KeyRef, Keyring


def study_summary(keyring: Keyring, row: Row) -> StudySummary:
    """A study with its attributes.

    Args:
        keyring: The keyring.
        row: A row of the study table.

    Raises:
        troth.vault.KeyDestroyed: It was erased a moment ago.
        StudyMisplaced: It is not owned by whom the row names.
    """
    require_owner(keyring, row)
    held_on = row["study_date"]
    return StudySummary(
        id=row["id"],
        tenant=row["tenant"],
        study_uid=row["study_uid"],
        subject_id=row["subject_id"],
        origin_id=row["origin_id"],
        study_date=None if held_on == NO_DATE else held_on,
        modalities=tuple(row["modalities"]),
        series_count=row["series_count"],
        instance_count=row["instance_count"],
        length_bytes=row["length_bytes"],
        is_restricted=row["is_restricted"],
        stored_at=row["stored_at"],
        sop_classes=tuple(row["sop_classes"]),
        audit_key=KeyRef(row["audit_key"]),
        values=sealing.open_values(keyring, row["key"], "study", row["id"], row["sealed"]),
    )


def require_owner(keyring: Keyring, row: Row) -> None:
    """Refuse a study that is not owned by the subject that its row names.

    Args:
        keyring: Authenticates whose key the study's is.
        row: A row of the study table, as `store.STUDY` reads it.

    Raises:
        StudyMisplaced: It is not.
        troth.vault.KeyDestroyed: The study was erased.
    """
    if not people.is_owned(keyring, row):
        raise StudyMisplaced(row["id"])


def standing_of(keyring: Keyring, row: Row) -> Standing:
    """What stands for everything of a study, and whose it is as senders say it.

    Args:
        keyring: The keyring.
        row: A row of the study table.

    Raises:
        troth.vault.KeyDestroyed: It was erased a moment ago.
    """
    if row["standing_sealed"] is None:
        return Standing.first(sealing.open_values(keyring, row["key"], "study", row["id"], row["sealed"]))
    plain = sealing.open_plain(keyring, row["key"], "standing", row["id"], row["standing_sealed"])
    return Standing.from_bytes(plain)


def study_values(study: StudySummary) -> dict[int, str]:
    """Attributes of a study as a search answers them.

    Per: DICOM PS3.18 table 10.6.3-3.
    """
    return (
        _EMPTY
        | dict(study.values)
        | {
            tags.STUDY_UID: study.study_uid,
            tags.AVAILABILITY: "ONLINE",
            tags.MODALITIES: "\\".join(study.modalities),
            tags.SOP_CLASSES: "\\".join(study.sop_classes),
            tags.STUDY_SERIES_COUNT: str(study.series_count),
            tags.STUDY_INSTANCE_COUNT: str(study.instance_count),
        }
    )


def series_values(series: SeriesRecord) -> dict[int, str]:
    """Attributes of a series as a search answers them.

    Per: DICOM PS3.18 table 10.6.3-4.
    """
    return (
        {tags.MODALITY: series.modality, tags.SERIES_NUMBER: ""}
        | dict(series.values)
        | {
            tags.SERIES_UID: series.series_uid,
            tags.SERIES_INSTANCE_COUNT: str(series.instance_count),
        }
    )


def instance_values(instance: InstanceRecord, values: Mapping[int, str]) -> dict[int, str]:
    """Attributes of an instance as a search answers them.

    Per: DICOM PS3.18 table 10.6.3-5.
    """
    return (
        {tags.INSTANCE_NUMBER: ""}
        | dict(values)
        | {
            tags.SOP_CLASS: instance.sop_class,
            tags.INSTANCE_UID: instance.instance_uid,
            tags.AVAILABILITY: "ONLINE",
        }
    )


def found_series(study: StudySummary, series: SeriesRecord) -> Found:
    """A series as a result, with the attributes of its study."""
    values = study_values(study) | series_values(series)
    return Found("series", study, series.series_uid, values=values)


def found_instance(
    study: StudySummary, series: SeriesRecord, instance: InstanceRecord, values: Mapping[int, str]
) -> Found:
    """An instance as a result, with the attributes of its series and study."""
    together = study_values(study) | series_values(series) | instance_values(instance, values)
    return Found("instance", study, series.series_uid, instance.instance_uid, values=together)


_EMPTY = dict.fromkeys(
    (
        tags.STUDY_DATE,
        tags.STUDY_TIME,
        tags.ACCESSION,
        tags.REFERRER,
        tags.PATIENT_NAME,
        tags.PATIENT_ID,
        tags.BIRTH_DATE,
        tags.SEX,
        tags.STUDY_ID,
    ),
    "",
)
