"""How things are said on a page: dates, numbers, roles, purposes, kinds of imaging. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from unicodedata import bidirectional
from zoneinfo import ZoneInfo

from troth.kit import clock

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

ROLES: Mapping[str, str] = {
    "clinician": "clinician",
    "referrer": "referring doctor",
    "office": "privacy officer",
    "admin": "administrator",
    "patient": "patient",
    "peer": "imaging system",
    "worker": "the platform itself",
}

PURPOSES: Mapping[str, str] = {
    "diagnosis": "diagnosis",
    "care": "care",
    "own_access": "your own access",
    "rights": "answering requests",
    "administration": "administration",
    "support": "support",
    "statistics": "statistics",
    "site": "this site",
}

SEXES: Mapping[str, str] = {"F": "female", "M": "male", "O": "other"}
BEARER = "Bearer token"
"""The name of an actor that is nobody's: of whoever shows a token."""

MODALITIES: Mapping[str, str] = {
    "CT": "CT scan",
    "MR": "MRI scan",
    "CR": "X-ray",
    "DX": "X-ray",
    "RF": "X-ray film",
    "XA": "X-ray of vessels",
    "MG": "Mammogram",
    "US": "Ultrasound",
    "NM": "Nuclear scan",
    "PT": "PET scan",
    "OT": "Images",
    "SC": "Images",
    "ES": "Endoscopy",
    "XC": "Photographs",
    "ECG": "Heart trace",
    "SR": "Report",
}


_zone: ContextVar[tzinfo] = ContextVar("zone", default=UTC)
_calendar: ContextVar[tzinfo] = ContextVar("calendar", default=UTC)


def read_in(calendar: tzinfo, own: str = "") -> None:
    """Say every time of the page that is being made as clocks show it to its reader.

    Args:
        calendar: Where the notice counts its days: a time limit ends on the same day for everybody.
        own: IANA zone of the reader's account; empty for one that goes by the notice's.
    """
    _calendar.set(calendar)
    _zone.set(ZoneInfo(own) if own else calendar)


def calendar() -> tzinfo:
    """Where days are counted: a time limit ends at midnight there, whatever clock its reader goes by."""
    return _calendar.get()


def time_of_zone() -> str:
    """What the times of the page are called: "London time", or "UTC"."""
    return time_of(_zone.get())


def time_of(zone: tzinfo) -> str:
    """What times of a zone are called: "London time", or "UTC"."""
    place = place_of(str(zone))
    return place if place == "UTC" else f"{place} time"


def place_of(zone: str) -> str:
    """The place of an IANA zone as people say it: `America/New_York` is "New York"."""
    return zone.rpartition("/")[2].replace("_", " ")


def counted_day(value: datetime) -> date:
    """The day of an instant as the notice counts days: that of a time limit, the same for everybody."""
    return value.astimezone(_calendar.get()).date()


def due_day(value: datetime | None) -> str:
    """The last day of a time limit: 12 Dec 2026; an empty string when there is none."""
    return day(counted_day(value)) if value is not None else ""


def local(value: datetime) -> datetime:
    """An instant by the reader's clock."""
    return value.astimezone(_zone.get())


def day(value: date | datetime | None) -> str:
    """22 Nov 2026, an instant by the reader's clock; an empty string when there is none."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = local(value)
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}" if value is not None else ""


def moment(value: datetime | None) -> str:
    """22 Nov 2026, 14:05 by the reader's clock; an empty string when there is none."""
    if value is None:
        return ""
    at = local(value)
    return f"{day(at)}, {at.hour:02d}:{at.minute:02d}"


def clock_time(value: datetime | None) -> str:
    """14:05 by the reader's clock, with the day where it is another one than today's; empty when there is none."""
    if value is None:
        return ""
    at = local(value)
    return f"{at.hour:02d}:{at.minute:02d}" if at.date() == local(clock.now()).date() else moment(value)


def iso(value: date | datetime | None) -> str:
    """For the `datetime` attribute of a `time` element."""
    return value.isoformat() if value is not None else ""


def number(value: int) -> str:
    """1,204."""
    return f"{value:,}"


def entry_number(value: int) -> str:
    """A ledger number in unbroken groups: 51 877."""
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")


def counted(value: int, one: str, many: str = "") -> str:
    """A count with what it counts: 1 image, 214 images."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def length(value_bytes: int) -> str:
    """A file size as a person says it."""
    size = float(value_bytes)
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def fingerprint(digest: bytes) -> str:
    """The first eight groups of a hash: enough to compare by eye, never the whole."""
    text = digest.hex()[:32]
    groups = [text[start : start + 4] for start in range(0, len(text), 4)]
    return " ".join(groups[:4]) + " · " + " ".join(groups[4:])


def role(value: str) -> str:
    """An access role in words."""
    return ROLES.get(value, value)


def purpose(value: str) -> str:
    """A purpose in words."""
    return PURPOSES.get(value, value.replace("_", " "))


def scan(modalities: Sequence[str]) -> str:
    """What a patient calls a study of these modalities."""
    named = [MODALITIES.get(each, "Images") for each in modalities if each not in {"SR", "PR", "KO"}]
    return named[0] if named else "Images"


_ISOLATES = frozenset({"LRI", "RLI", "FSI", "PDI"})
_TURNING = _ISOLATES | {"R", "AL", "LRE", "RLE", "LRO", "RLO", "PDF"}


def person_name(value: str) -> str:
    """A DICOM person name as a list shows it: `Sample^Anna^^Dr` becomes "Sample, Anna".

    Per: DICOM PS3.5 6.2.1 (components by caret, groups by equals sign; the first group is the alphabetic one).
    """
    family, _, rest = value.partition("=")[0].partition("^")
    given = " ".join(part for part in rest.split("^")[:2] if part)
    return isolated(", ".join(part for part in (family.strip(), given.strip()) if part))


def isolated(text: str) -> str:
    """A text of strangers that may run from right to left, so that it turns nothing round but itself.

    Signs that override or embed a direction end with it (Unicode Standard Annex 9, 2.7: FSI and PDI around it).
    """
    if text.isascii() or not any(bidirectional(sign) in _TURNING for sign in text):
        return text
    return f"\u2068{''.join(sign for sign in text if bidirectional(sign) not in _ISOLATES)}\u2069"


def sex(value: str) -> str:
    """What DICOM says in a letter (PS3.3 C.2.3); what is none of these, as it stands."""
    return SEXES.get(value.strip().upper(), value)


def sender(value: str) -> str:
    """Who sent something: a system has a name, a program that shows a token has none."""
    return "a program with a token" if value == BEARER else value


@dataclass(frozen=True, slots=True)
class Clock:
    """A time limit as the page shows it.

    Attributes:
        day: Days gone by, one tick each.
        days: Days in all.
        left: "19 days left".
        by: "by 12 Dec 2026".
        tint: Empty, `near`, `late` or `off`.
    """

    day: int
    days: int
    left: str
    by: str
    tint: str = ""


def clock_of(start: datetime, due: datetime, now: datetime, closed: datetime | None = None) -> Clock:
    """A time limit in words.

    Amber in the last third or on the last five days, red after (look.md, Components).

    Args:
        start: When the clock began.
        due: When it ends.
        now: The present.
        closed: When the request was answered, which stops the clock.
    """
    began, ends, today = counted_day(start), counted_day(due), counted_day(now)
    days = max((ends - began).days, 1)
    if closed is not None:
        gone = min(max((counted_day(closed) - began).days, 0), days)
        tint = "off" if closed <= due else "late"
        took = "on the same day" if gone == 0 else f"after {counted(gone, 'day')}"
        return Clock(gone, days, f"answered {took}", f"limit was {due_day(due)}", tint)
    gone = min(max((today - began).days, 0), days)
    left = (ends - today).days
    if now > due:
        return Clock(days, days, f"{counted(-left, 'day')} late", f"was due {due_day(due)}", "late")
    tint = "near" if left <= 5 or left * 3 <= days else ""
    words = "due today" if left == 0 else f"{counted(left, 'day')} left"
    return Clock(gone, days, words, f"by {due_day(due)}", tint)
