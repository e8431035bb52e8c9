"""From search keys to a plan: which keyed tokens select candidates, and which rules each candidate must still meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from troth.archive import attributes as tags
from troth.archive import sequences, tokens
from troth.archive.attributes import LEVELS, keyword_of, level_of
from troth.archive.errors import SearchKeyUnknown, SearchTooBroad, SearchValueInvalid
from troth.archive.matching import (
    Matcher,
    date_range,
    matcher,
    moment_within,
    near_name,
    parsed_day,
    sequence_matcher,
    uids,
)
from troth.archive.model import Level, Query
from troth.archive.tokens import Term
from troth.policy import Filter

MOST_RESULTS = 1000
MOST_OFFSET = 10_000
MOST_SCANNED = 20_000
_MOST_TOKENS = 4

_MOMENT = 0  # no attribute: StudyDate and StudyTime together
Tokenise = Callable[[str, str], int]
Rules = Mapping[Level, tuple[tuple[int, Matcher], ...]]


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a permit lets a search reach.

    Attributes:
        subject_id: Only studies of this subject.
        study_id: Only this study.
        with_restricted: Also studies under restriction (GDPR Art. 18).
    """

    subject_id: UUID | None = None
    study_id: UUID | None = None
    with_restricted: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What the database is asked for, and what every row must still meet.

    Attributes:
        tokens: Tokens that a study must have; the first one drives an ordered range.
        near_tokens: Tokens of which a study must have one: those of a name that may be mistyped.
        dates: First and last StudyDate.
        rules: Matching rules by level, applied to unsealed values.
        is_exact: Every row that the database gives is a result.
        reach: Which studies a decision would show; None where the one that is asked for was decided already.
    """

    dates: tuple[date, date]
    rules: Rules
    is_exact: bool
    tokens: tuple[int, ...] = ()
    near_tokens: tuple[int, ...] = ()
    subject_id: UUID | None = None
    study_id: UUID | None = None
    patient_id_token: int | None = None
    accession_token: int | None = None
    birth_token: int | None = None
    study_uids: tuple[str, ...] | None = None
    series_uids: tuple[str, ...] | None = None
    instance_uids: tuple[str, ...] | None = None
    with_restricted: bool = False
    reach: Filter | None = None

    @property
    def is_by_equality(self) -> bool:
        """Whether few rows can match, by an index of their own, whatever their date."""
        narrow = (self.subject_id, self.study_id, self.patient_id_token, self.accession_token, self.birth_token)
        listed = (self.study_uids, self.series_uids, self.instance_uids)
        return any(wanted is not None for wanted in narrow + listed)


def plan(query: Query, scope: Scope, tokenise: Tokenise) -> Plan:
    """Plan a search.

    Args:
        query: What is asked for.
        scope: How far it may reach.
        tokenise: Makes the keyed token of a kind and a value.

    Raises:
        SearchKeyUnknown: A key that no index of this level or above can honour.
        SearchValueInvalid: A value that cannot be understood, or two values for one key.
        SearchTooBroad: More is asked for than one page may hold.
    """
    _check_page(query)
    keys = _keys(query)
    near = near_name_of(query)
    rules = _rules(keys, near, is_moment=query.is_moment)
    patient_id = _equal(keys, tags.PATIENT_ID, "patient_id", tokenise)
    accession = _equal(keys, tags.ACCESSION, "accession", tokenise)
    birth = _birth(keys, tokenise)
    listed = [_listed(keys, tag) for tag in (tags.STUDY_UID, tags.SERIES_UID, tags.INSTANCE_UID)]
    known_in_sql = {tags.STUDY_DATE, tags.STUDY_UID}
    planned = Plan(
        dates=_dates(keys),
        rules=rules,
        is_exact=query.level == "study" and keys.keys() <= known_in_sql,
        subject_id=scope.subject_id,
        study_id=scope.study_id,
        patient_id_token=patient_id,
        accession_token=accession,
        birth_token=birth,
        study_uids=listed[0],
        series_uids=listed[1],
        instance_uids=listed[2],
        with_restricted=scope.with_restricted,
    )
    if planned.is_by_equality:
        return planned
    terms = _terms({tag: keys[tag] for tag in keys if not (near and tag == tags.PATIENT_NAME)})
    near_terms = tokens.near_terms("name", near) if near else ()
    return replace(
        planned,
        tokens=tuple(tokenise(*term) for term in terms[:_MOST_TOKENS]),
        near_tokens=tuple(tokenise(*term) for term in sorted(near_terms)),
    )


def near_name_of(query: Query) -> str:
    """The patient's name that a search asks for with its mistypings; empty where it does not, or it is a pattern.

    Args:
        query: What is asked for.
    """
    if not query.is_fuzzy:
        return ""
    name = next((match.value.strip(" ") for match in query.matches if match.tag == tags.PATIENT_NAME), "")
    # A short family name is near to too many, and a pattern says itself how much may differ.
    is_literal = bool(name) and not set(name) & set("*?=\\")
    return name if is_literal and tokens.near_terms("name", name) else ""


def _rules(keys: Mapping[int, str], near: str, *, is_moment: bool) -> Rules:
    """The rules of the keys by level; those within one sequence are one rule, and so are a range of date and time."""
    found: dict[Level, list[tuple[int, Matcher]]] = {level: [] for level in LEVELS}
    days, times = keys.get(tags.STUDY_DATE, ""), keys.get(tags.STUDY_TIME, "")
    if is_moment and "-" in days and "-" in times:
        between = moment_within(tags.STUDY_DATE, days, tags.STUDY_TIME, times)
        found["study"].append((_MOMENT, lambda stored: between(*stored.split("\n"))))
        keys = {tag: value for tag, value in keys.items() if tag not in (tags.STUDY_DATE, tags.STUDY_TIME)}
    nested: dict[int, dict[int, str]] = {}
    for tag, value in keys.items():
        level = level_of(tag)
        sequence = sequences.parts(tag)[0]
        if sequence:
            nested.setdefault(sequence, {})[tag] = value
        elif level is not None:
            is_near = near and tag == tags.PATIENT_NAME
            found[level].append((tag, near_name(near) if is_near else _rule(tag, value)))
    for sequence, inner in nested.items():
        level = level_of(sequence)
        if level is not None:
            found[level].append((sequence, sequence_matcher(inner)))
    return {level: tuple(rules) for level, rules in found.items()}


def holds(rules: Rules, level: Level, values: Mapping[int, str], *, besides: int | None = None) -> bool:
    """Whether unsealed values meet all rules of a level, but for the one of a tag that is met already."""
    return all(rule(_stored(values, tag)) for tag, rule in rules[level] if tag != besides)


def _stored(values: Mapping[int, str], tag: int) -> str:
    if tag == _MOMENT:
        return f"{values.get(tags.STUDY_DATE, '')}\n{values.get(tags.STUDY_TIME, '')}"
    return values.get(tag, "")


def terms_of_study(values: Mapping[int, str]) -> set[Term]:
    """All terms that a study is found by; modalities are added as series come.

    Args:
        values: Attributes of the study.
    """
    return (
        tokens.terms_of_name("name", values.get(tags.PATIENT_NAME, ""))
        | tokens.near_terms("name", values.get(tags.PATIENT_NAME, ""))
        | tokens.terms_of_name("referrer", values.get(tags.REFERRER, ""))
        | tokens.terms_of_text("patient_id", values.get(tags.PATIENT_ID, ""))
        | tokens.terms_of_text("accession", values.get(tags.ACCESSION, ""))
        | tokens.terms_of_text("description", values.get(tags.DESCRIPTION, ""))
    )


def equality_tokens(values: Mapping[int, str], tokenise: Tokenise) -> dict[str, int | None]:
    """Tokens of the equality columns of a study; None where the attribute is empty."""
    patient_id, accession = values.get(tags.PATIENT_ID, ""), values.get(tags.ACCESSION, "")
    born = parsed_day(values.get(tags.BIRTH_DATE, ""))
    return {
        "patient_id_token": tokenise("patient_id", tokens.fold(patient_id)) if patient_id else None,
        "accession_token": tokenise("accession", tokens.fold(accession)) if accession else None,
        "birth_token": tokenise("birth", f"{born:%Y%m%d}") if born else None,
    }


def modality_term(modality: str) -> Term:
    """The term of a modality in a study."""
    return "modality", modality


def _check_page(query: Query) -> None:
    if not 0 <= query.limit <= MOST_RESULTS or query.offset < 0:
        raise SearchValueInvalid(f"One page holds 0 to {MOST_RESULTS} results and starts at 0 or later.")
    if query.offset > MOST_OFFSET:
        raise SearchTooBroad(f"Pages start at {MOST_OFFSET} or earlier.", hint="Narrow the search by StudyDate.")


def _keys(query: Query) -> dict[int, str]:
    """Search keys by tag; keys with an empty value match everything and are dropped (PS3.4 C.2.2.2.3)."""
    allowed = LEVELS[: LEVELS.index(query.level) + 1]
    keys: dict[int, str] = {}
    for match in query.matches:
        level = level_of(match.tag)
        if level not in allowed:
            raise SearchKeyUnknown(f"{keyword_of(match.tag)} is no search key of the {query.level} level here.")
        if match.tag in keys:
            raise SearchValueInvalid(f"{keyword_of(match.tag)} is given twice.")
        keys[match.tag] = match.value.strip(" ")
    return {tag: value for tag, value in keys.items() if value and value.strip("*")}


def _rule(tag: int, value: str) -> Matcher:
    if tag != tags.MODALITIES:
        return matcher(tag, value)
    # OHIF sends several modalities in one value; any of them is meant.
    wanted = [matcher(tag, single) for single in value.replace(",", "\\").split("\\") if single]
    return lambda stored: any(rule(stored) for rule in wanted)


def _equal(keys: Mapping[int, str], tag: int, kind: str, tokenise: Tokenise) -> int | None:
    value = keys.get(tag, "")
    if not value or "*" in value or "?" in value:
        return None
    return tokenise(kind, tokens.fold(value))


def _birth(keys: Mapping[int, str], tokenise: Tokenise) -> int | None:
    if tags.BIRTH_DATE not in keys:
        return None
    first, last = date_range(tags.BIRTH_DATE, keys[tags.BIRTH_DATE])
    return tokenise("birth", f"{first:%Y%m%d}") if first == last else None


def _listed(keys: Mapping[int, str], tag: int) -> tuple[str, ...] | None:
    return tuple(uids(tag, keys[tag])) if tag in keys else None


def _terms(keys: Mapping[int, str]) -> list[Term]:
    """Terms of the keys, the most telling ones first."""
    terms: list[Term] = []
    if tags.PATIENT_NAME in keys:
        terms += tokens.needs_of_name("name", keys[tags.PATIENT_NAME])
    for tag, kind in (
        (tags.PATIENT_ID, "patient_id"),
        (tags.ACCESSION, "accession"),
        (tags.DESCRIPTION, "description"),
    ):
        if tag in keys:
            terms += tokens.needs_of_text(kind, keys[tag])
    if tags.REFERRER in keys:
        terms += tokens.needs_of_name("referrer", keys[tags.REFERRER])
    modality = keys.get(tags.MODALITIES, keys.get(tags.MODALITY, ""))
    if modality and not set(modality) & set("*?,\\"):
        terms.append(modality_term(modality))
    return terms


def _dates(keys: Mapping[int, str]) -> tuple[date, date]:
    if tags.STUDY_DATE not in keys:
        return date.min, date.max
    first, last = date_range(tags.STUDY_DATE, keys[tags.STUDY_DATE])
    # A study without a date is kept under the first day of all; a range never means it.
    return max(first, date.min + timedelta(days=1)), last
