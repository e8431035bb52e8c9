"""A list of people as it is handed over: CSV, bounded, each line looked at before anything is taken in. Pure.

Only columns that a notice can speak of are taken; a list with any other is refused as a whole, because what we do not
need we must not have. A line that cannot be read is refused with its number, and the others go on.

Per: RFC 4180 (CSV); the separator may also be a semicolon or a tab, as spreadsheets write it.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from troth.people import emails
from troth.people.errors import EmailMalformed, ListMalformed

LIMIT_BYTES: Final = 1 << 20
LIMIT_LINES: Final = 10_000
LONGEST: Final = 200

FIELDS: Final = ("name", "organisation", "title", "telephone", "post")
ANCHOR: Final = "counts_from"
COLUMNS: Final = ("email", *FIELDS, ANCHOR)
_ALSO: Final = {
    "e-mail": "email", "mail": "email", "e_mail": "email", "company": "organisation", "employer": "organisation",
    "organization": "organisation", "phone": "telephone", "address": "post", "counts from": ANCHOR,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One readable line.

    Attributes:
        number: Where it stands in the file, from 1.
        email: In the one form by which it is found.
        told: What the list says, by field; empty ones are left out.
        anchor_on: From which day the time to keep it counts, if the list says.
    """

    number: int
    email: str = field(repr=False)
    told: dict[str, str] = field(default_factory=dict, repr=False)
    anchor_on: date | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is not taken in, and why: words of ours, nothing of the line."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a list holds.

    Attributes:
        merged: How many lines name somebody whom another line of the list names too.
    """

    lines: tuple[Line, ...]
    refused: tuple[Refused, ...]
    merged: int


def read(content: bytes, today: date) -> Reading:
    """Read a list.

    Args:
        content: The file.
        today: No time counts from a later day.

    Raises:
        ListMalformed: Too large, no text, or without the columns that are needed.
    """
    if len(content) > LIMIT_BYTES:
        raise ListMalformed(f"the list is larger than {LIMIT_BYTES >> 20} MiB", hint="Hand it over in parts.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        number = content[: fault.start].count(b"\n") + 1
        raise ListMalformed(f"line {number} is not UTF-8 text", hint="Save the list as UTF-8.") from None
    if "\0" in text:
        raise ListMalformed(f"line {text[: text.index(chr(0))].count(chr(10)) + 1} holds bytes that are no text")
    rows = _rows(text)
    number, head, _ = next(rows, (1, [], ""))
    columns = _columns(head)
    found: dict[str, Line] = {}
    refused, merged = [], 0
    for number, cells, broken in rows:
        if number - 1 > LIMIT_LINES:
            raise ListMalformed(f"the list has more than {LIMIT_LINES:,} lines", hint="Hand it over in parts.")
        if not any(cells) and not broken:
            continue
        line, why = (None, broken) if broken else _line(number, columns, cells, today)
        if line is None:
            refused.append(Refused(number, why))
        elif line.email in found:
            found[line.email] = _joined(found[line.email], line)
            merged += 1
        else:
            found[line.email] = line
    return Reading(tuple(found.values()), tuple(refused), merged)


def _rows(text: str) -> Iterator[tuple[int, list[str], str]]:
    """The rows with the line that each begins on; a row that is no CSV with what is wrong."""
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            yield number, [cell.strip() for cell in next(reader)], ""
        except StopIteration:
            return
        except csv.Error:
            yield number, [], "its quotation marks do not match"


def _columns(head: list[str]) -> list[str]:
    """The columns by our names.

    Raises:
        ListMalformed: One is unknown or stands twice, or there is no address.
    """
    names = [_ALSO.get(cell.casefold(), cell.casefold().replace(" ", "_")) for cell in head]
    if "email" not in names:
        raise ListMalformed("the first line names no column email", hint=f"Columns are {', '.join(COLUMNS)}.")
    for place, name in enumerate(names, 1):
        if name not in COLUMNS:
            raise ListMalformed(
                f"column {place} of the list is none that we take", hint=f"Columns are {', '.join(COLUMNS)}."
            )
    if len(set(names)) != len(names):
        raise ListMalformed("a column of the list stands twice", hint="Take one of the two out.")
    return names


def _line(number: int, columns: list[str], cells: list[str], today: date) -> tuple[Line | None, str]:
    if len(cells) != len(columns):
        return None, f"it has {len(cells)} fields, and the first line has {len(columns)}"
    told = dict(zip(columns, cells, strict=True))
    if any(len(cell) > LONGEST for cell in cells):
        return None, f"a field is longer than {LONGEST} characters"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for cell in cells for letter in cell):
        return None, "a field holds characters that cannot be shown"
    try:
        email = emails.normalised(told["email"])
    except EmailMalformed:
        return None, "mail cannot be sent to its address"
    anchor_on = None
    if told.get(ANCHOR):
        try:
            anchor_on = date.fromisoformat(told[ANCHOR])
        except ValueError:
            return None, "its day is not written like 2026-11-22"
        if anchor_on > today:
            return None, "its day is still to come"
    return Line(number, email, {name: told[name] for name in FIELDS if told.get(name)}, anchor_on), ""


def _joined(first: Line, other: Line) -> Line:
    """Two lines about one address: what the first does not say, the other adds; the later day counts."""
    days = [each.anchor_on for each in (first, other) if each.anchor_on is not None]
    return replace(first, told={**other.told, **first.told}, anchor_on=max(days, default=None))
