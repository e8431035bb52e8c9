"""What the pages about conflicts show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from troth.archive import Comparison, QuarantineGroup, Side
from troth.doors.web import words
from troth.doors.web.forms import Fault

HEADINGS: Mapping[str, str] = {
    "duplicate-differs": "Two different images with one number",
    "other-patient": "One study number, two patients",
    "other-study": "One series number, two studies",
}
WHATS: Mapping[str, str] = {
    "duplicate-differs": "An image with the same number is held already, with other content.",
    "other-patient": "The study is held already, for another patient number.",
    "other-study": "The series is held already, in another study.",
}
CAUSES: Mapping[str, str] = {
    "duplicate-differs": "Often the same image, corrected and sent again.",
    "other-patient": "Often a patient number that was mistyped or corrected. If it is the same person, take nothing in "
    "before that is clear.",
    "other-study": "Often a machine that gave out a number twice.",
}
TAKES: Mapping[str, str] = {
    "duplicate-differs": "It gets a number of its own and stands beside the other in the same series.",
    "other-patient": "It gets a study of its own, for the patient it names. The study that is held is not touched.",
    "other-study": "It gets a series of its own in the study it names. The series that is held is not touched.",
}
_SHOWN: tuple[tuple[int, str], ...] = (
    (0x00100010, "Patient"),
    (0x00100020, "Patient number"),
    (0x00100021, "Issued by"),
    (0x00100030, "Born"),
    (0x00100040, "Sex"),
    (0x00080020, "Study date"),
    (0x00080030, "Study time"),
    (0x00080050, "Accession"),
    (0x00081030, "Study"),
    (0x00080060, "Modality"),
    (0x0008103E, "Series"),
    (0x00200011, "Series number"),
    (0x00200013, "Image number"),
    (0x00080033, "Image time"),
    (0x00081010, "Station"),
)
_TIMES = frozenset({0x00080030, 0x00080033})
_NAME, _SEX, _DATES = 0x00100010, 0x00100040, frozenset({0x00100030, 0x00080020})


@dataclass(frozen=True, slots=True)
class GroupRow:
    """What is kept apart of one study for one reason."""

    href: str
    what: str
    images: int
    modality: str
    size: str
    sender: str
    last_at: datetime
    ends_at: datetime
    is_held: bool


@dataclass(frozen=True, slots=True)
class ConflictsPage:
    """All that is kept apart."""

    rows: tuple[GroupRow, ...]
    images: int
    is_cut: bool
    told: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One attribute of the two."""

    label: str
    kept: str
    held: str
    differs: bool
    is_mono: bool = False


@dataclass(frozen=True, slots=True)
class ConflictPage:
    """One image beside what it contradicts, and what can be done."""

    heading: str
    what: str
    cause: str
    takes: str
    action: str
    place: int
    total: int
    before_href: str
    after_href: str
    sender: str
    received_at: datetime
    ends_at: datetime
    is_held: bool
    lines: tuple[Line, ...]
    has_held: bool
    held_title: str
    differing: tuple[str, ...]
    pixels: str
    kept_picture: str
    held_picture: str
    can_replace: bool
    told: str = ""
    reason: str = ""
    faults: tuple[Fault, ...] = ()


def group_row(group: QuarantineGroup) -> GroupRow:
    """A group as a line of the list: no name stands in it."""
    return GroupRow(
        href=f"/conflicts/{group.newest_id}",
        what=HEADINGS[group.reason],
        images=group.instances,
        modality=", ".join(group.modalities),
        size=words.length(group.length_bytes),
        sender=words.sender(group.sender),
        last_at=group.last_at,
        ends_at=group.ends_at,
        is_held=group.is_held,
    )


def lines_of(comparison: Comparison) -> tuple[Line, ...]:
    """Attributes of both, without those that neither has; what differs comes first."""
    kept, held = comparison.kept, comparison.held
    shown = [Line(label, _value(kept, tag), _value(held, tag), _is_other(kept, held, tag)) for tag, label in _SHOWN]
    uids = [
        Line(label, getattr(kept, name), getattr(held, name, ""), held is not None and _differ(kept, held, name), True)
        for label, name in (("Study UID", "study_uid"), ("Series UID", "series_uid"), ("Image UID", "instance_uid"))
    ]
    size = Line(
        "Size",
        words.length(kept.length_bytes),
        words.length(held.length_bytes) if held is not None else "",
        held is not None and held.length_bytes != kept.length_bytes,
    )
    lines = [line for line in (*shown, *uids, size) if line.kept or line.held]
    return tuple(sorted(lines, key=lambda line: not line.differs))


def _value(side: Side | None, tag: int) -> str:
    text = side.values.get(tag, "") if side is not None else ""
    if tag == _NAME:
        return words.person_name(text)
    if tag == _SEX:
        return words.sex(text)
    if tag in _DATES and len(text) == 8 and text.isascii() and text.isdigit() and 1 <= int(text[4:6]) <= 12:
        return f"{int(text[6:])} {words.MONTHS[int(text[4:6]) - 1]} {text[:4]}"
    if tag in _TIMES and text[:4].isdigit() and len(text) >= 4:
        return f"{text[:2]}:{text[2:4]}" + (f":{text[4:6]}" if text[4:6].strip("0") else "")
    return text


def _is_other(kept: Side, held: Side | None, tag: int) -> bool:
    return held is not None and kept.values.get(tag, "") != held.values.get(tag, "")


def _differ(kept: Side, held: Side, name: str) -> bool:
    return bool(getattr(kept, name) != getattr(held, name))
