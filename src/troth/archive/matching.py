"""Whether a value matches a search key, by the rules of C-FIND.

Per: DICOM PS3.4 C.2.2.2. Person names are matched without case and diacritics (the standard leaves it to us), every
other attribute exactly as sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache

from troth.archive import sequences
from troth.archive.attributes import keyword_of, vr_of
from troth.archive.errors import SearchValueInvalid
from troth.archive.tokens import fold_name, name_groups
from troth.kit import numbers

_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,20}))?)?)?$")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*$")
_LONGEST_VALUE = 1024
_MOST_WILDCARDS = 16

Matcher = Callable[[str], bool]


def matcher(tag: int, value: str) -> Matcher:
    """The rule of one search key.

    Args:
        tag: The attribute.
        value: Value, pattern, range or list as the client sent it; empty matches everything.

    Returns:
        A function of the stored value (several joined by a backslash).

    Raises:
        SearchValueInvalid: The value is not of the attribute's value representation.
    """
    if len(value) > _LONGEST_VALUE and vr_of(tag) != "UI":
        raise SearchValueInvalid(f"The value of {keyword_of(tag)} is too long.")
    if not value or value == "*":
        return _everything
    vr = vr_of(tag)
    if vr == "SQ":
        raise SearchValueInvalid(f"{keyword_of(tag)} is a sequence: name the attribute in it that must match.")
    if vr == "UI":
        wanted = frozenset(uids(tag, value))
        return lambda stored: not wanted.isdisjoint(stored.split("\\"))
    if vr == "DA":
        return _within(*date_range(tag, value))
    if vr == "TM":
        return _time_within(tag, value)
    if vr == "PN":
        return _name(value)
    if vr in _WILDCARD_VRS and ("*" in value or "?" in value):
        pattern = compiled(tag, value)
        return lambda stored: any(pattern.fullmatch(single.strip(" ")) for single in stored.split("\\"))
    if vr in {"IS", "US", "UL", "DS"}:
        return _number(tag, value)
    return lambda stored: any(single.strip(" ") == value.strip(" ") for single in stored.split("\\"))


def sequence_matcher(keys: Mapping[int, str]) -> Matcher:
    """The rule of the keys within one sequence: some item of it must meet all of them.

    Args:
        keys: Values by `sequences.path`, all of the same sequence.

    Per: DICOM PS3.4 C.2.2.2.6.
    """
    rules = [(sequences.parts(number)[1], matcher(number, value)) for number, value in keys.items()]
    return lambda stored: any(
        all(rule(item.get(tag, "")) for tag, rule in rules) for item in sequences.items_of(stored)
    )


def near_name(value: str) -> Matcher:
    """The rule of a name that may be mistyped: one letter too many, missing, another, or two exchanged, in each part.

    A part that is not given, or a given name of which only the beginning is, matches.

    Args:
        value: A name without wildcards.
    """
    wanted = fold_name(value).split("^")

    def rule(stored: str) -> bool:
        return any(_is_near_name(wanted, group.split("^")) for group in name_groups(stored))

    return rule


def _is_near_name(wanted: list[str], stored: list[str]) -> bool:
    padded = stored + [""] * (len(wanted) - len(stored))
    return all(
        not part or is_near(part, held) or (place > 0 and held.startswith(part))
        for place, (part, held) in enumerate(zip(wanted, padded, strict=False))
    )


def is_near(first: str, second: str) -> bool:
    """Whether two words differ by one letter at most, or by two neighbours exchanged."""
    if first == second:
        return True
    short, long = sorted((first, second), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((at for at, sign in enumerate(short) if sign != long[at]), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    rest, other = short[start:], long[start:]
    return rest[1:] == other[1:] or (rest[:2] == other[1::-1] and rest[2:] == other[2:])


def uids(tag: int, value: str) -> list[str]:
    """The UIDs of a list, separated by comma or backslash (PS3.18 8.3.4.1, PS3.4 C.2.2.2.2).

    Raises:
        SearchValueInvalid: One of them is no UID.
    """
    listed = [single.strip() for single in re.split(r"[,\\]", value) if single.strip()]
    if not listed or any(len(uid) > 64 or not _UID.match(uid) for uid in listed):
        raise SearchValueInvalid(f"The value of {keyword_of(tag)} is not a list of UIDs.")
    return listed


def date_range(tag: int, value: str) -> tuple[date, date]:
    """First and last day that match: one day, `from-to`, `-to` or `from-` (PS3.4 C.2.2.2.5).

    Raises:
        SearchValueInvalid: It is no date.
    """
    first, dash, last = value.partition("-")
    begin = _day(tag, first) if first else date.min
    if not dash:
        return begin, begin
    end = _day(tag, last) if last else date.max
    if not first and not last:
        raise SearchValueInvalid(f"The range of {keyword_of(tag)} has no end.")
    return begin, end


def compiled(tag: int, value: str) -> re.Pattern[str]:
    """A wildcard pattern as a regular expression that cannot run away.

    Raises:
        SearchValueInvalid: Too many wildcards.
    """
    squeezed = re.sub(r"\*+", "*", value.strip(" "))
    if squeezed.count("*") > _MOST_WILDCARDS:
        raise SearchValueInvalid(f"The pattern of {keyword_of(tag)} has too many wildcards.")
    return _expression(squeezed)


def parsed_day(text: str) -> date | None:
    """A stored DICOM date, or None when it is none."""
    digits = text.strip().replace(".", "")
    if len(digits) != 8 or numbers.whole(digits, most=99_999_999) is None:
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


@lru_cache(maxsize=512)
def _expression(pattern: str) -> re.Pattern[str]:
    # Atomic-like: each literal run is found lazily and never tried again further right, so the cost stays linear.
    head, *rest = pattern.split("*")
    text = _literal(head)
    for place, run in enumerate(rest):
        is_last = place == len(rest) - 1
        text += f".*{_literal(run)}" if is_last else f"(?>.*?{_literal(run)})"
    return re.compile(text, re.DOTALL)


def _literal(run: str) -> str:
    return "".join("." if sign == "?" else re.escape(sign) for sign in run)


def _everything(_stored: str) -> bool:
    return True


def _name(value: str) -> Matcher:
    pattern = _expression(re.sub(r"\*+", "*", fold_name(value)))
    if "=" in value:
        patterns = [_expression(re.sub(r"\*+", "*", fold_name(group))) if group else None for group in value.split("=")]

        def by_group(stored: str) -> bool:
            return any(
                all(
                    wanted is None or wanted.fullmatch(fold_name(group)) is not None
                    for wanted, group in _paired(patterns, name.split("="))
                )
                for name in stored.split("\\")
            )

        return by_group
    return lambda stored: any(pattern.fullmatch(group) for group in name_groups(stored))


def _paired(patterns: list[re.Pattern[str] | None], groups: list[str]) -> Iterable[tuple[re.Pattern[str] | None, str]]:
    padded = groups + [""] * (len(patterns) - len(groups))
    return zip(patterns, padded, strict=False)


def _within(begin: date, end: date) -> Matcher:
    def rule(stored: str) -> bool:
        day = parsed_day(stored)
        return day is not None and begin <= day <= end

    return rule


def _day(tag: int, text: str) -> date:
    day = parsed_day(text)
    if day is None:
        raise SearchValueInvalid(f"The value of {keyword_of(tag)} is not a date as YYYYMMDD.")
    return day


def _time_within(tag: int, value: str) -> Matcher:
    first, dash, last = value.partition("-")
    begin = _seconds(tag, first, "0") if first else 0.0
    end = _seconds(tag, last if dash else first, "9") if (last or not dash) else 86_400.0

    def rule(stored: str) -> bool:
        found = _TIME.match(stored.strip())
        return found is not None and begin <= _in_seconds(found, "0") <= end

    return rule


def moment_within(day_tag: int, days: str, time_tag: int, times: str) -> Callable[[str, str], bool]:
    """The rule of a range of dates and one of times that belong together: from the first moment to the last.

    Args:
        day_tag: Attribute of the date.
        days: Its range.
        time_tag: Attribute of the time.
        times: Its range.

    Returns:
        A function of the stored date and time; a time that is not known counts as the start of its day.

    Per: DICOM PS3.4 C.2.2.2.5.
    """
    first_day, last_day = date_range(day_tag, days)
    first, _, last = times.partition("-")
    begin = (first_day, _seconds(time_tag, first, "0") if first else 0.0)
    end = (last_day, _seconds(time_tag, last, "9") if last else 86_400.0)

    def rule(day: str, time: str) -> bool:
        on, at = parsed_day(day), _TIME.match(time.strip())
        return on is not None and begin <= (on, _in_seconds(at, "0") if at else 0.0) <= end

    return rule


def _seconds(tag: int, text: str, fill: str) -> float:
    found = _TIME.match(text.strip())
    if found is None:
        raise SearchValueInvalid(f"The value of {keyword_of(tag)} is not a time as HHMMSS.")
    return _in_seconds(found, fill)


def _in_seconds(found: re.Match[str], fill: str) -> float:
    """Seconds since midnight; what is left out is filled from below or from above."""
    missing = 59 if fill == "9" else 0
    hours, minutes, seconds = (int(part) if part else missing for part in found.groups()[:3])
    fraction = (found.group(4) or "")[:6].ljust(6, fill if not found.group(4) else "0")
    return hours * 3600 + minutes * 60 + seconds + int(fraction) / 1_000_000


def _number(tag: int, value: str) -> Matcher:
    wanted = numbers.decimal(value)
    if wanted is None:
        raise SearchValueInvalid(f"The value of {keyword_of(tag)} is not a number.")

    def rule(stored: str) -> bool:
        return any(numbers.decimal(single) == wanted for single in stored.split("\\"))

    return rule
