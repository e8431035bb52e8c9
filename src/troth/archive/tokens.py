"""Keyed search tokens: which terms a value is found by, and which terms a pattern needs.

Terms are folded text with a kind; the keyring makes 64-bit tokens of them under the organisation's key, so the
database sees numbers only. A pattern's terms select candidates; every candidate is unsealed and matched exactly
afterwards, so terms may be too few but never wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

Term = tuple[str, str]

_EDGE_LONGEST = 6
_PART_LONGEST = 4
_GIVEN_LONGEST = 3
_MOST_TERMS = 3
_NEAR_SHORTEST, _NEAR_LONGEST = 3, 24
#: Letters that are no letter with a sign, and what is typed for them.
_PLAIN = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ı": "i"}
)
_COMMON_FIRST = "aeinrlstohmdcu0123456789kgbpyfvwjzxq"


def fold(text: str) -> str:
    """Text without case, diacritics and double spaces, as it is compared by terms."""
    if text.isascii():
        return " ".join(text.lower().split())
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return " ".join(plain.casefold().split())


def fold_name(group: str) -> str:
    """One group of a person name, folded component by component, without empty components at its end."""
    return "^".join(fold(component) for component in group.split("^")).rstrip("^")


def name_groups(value: str) -> list[str]:
    """The alphabetic, ideographic and phonetic groups of person names, folded; also as a plain keyboard writes them.

    Per: DICOM PS3.5 6.2.1.2.
    """
    groups = [fold_name(group) for name in value.split("\\") for group in name.split("=")]
    plain = [group.translate(_PLAIN) for group in groups if not group.isascii()]
    return list(dict.fromkeys(group for group in (*groups, *plain) if group))


def terms_of_name(kind: str, value: str) -> set[Term]:
    """Terms of a person name: edges of the whole and of each later component, family with given, trigrams.

    Args:
        kind: Prefix that keeps attributes apart, such as `name` or `referrer`.
        value: The value as stored.
    """
    terms: set[Term] = set()
    for group in name_groups(value):
        terms.update((f"{kind}.edge", group[:length]) for length in range(1, min(_EDGE_LONGEST, len(group)) + 1))
        family, *later = group.split("^")
        if later:
            terms.update((f"{kind}.given", f"{family}^{later[0][:n]}") for n in _lengths(later[0], _GIVEN_LONGEST))
        for component in later:
            terms.update((f"{kind}.part", component[:length]) for length in _lengths(component, _PART_LONGEST))
        for component in (family, *later):
            terms.update((f"{kind}.gram", gram) for gram in _trigrams(component))
    return terms


def near_terms(kind: str, value: str) -> set[Term]:
    """Terms of the family names of a value and of each with one letter left out.

    Two names that differ by one letter share one of them, whichever of the two is asked for.

    Args:
        kind: Prefix of the attribute.
        value: Person names.
    """
    families = {group.split("^")[0][:_NEAR_LONGEST] for group in name_groups(value)}
    return {
        (f"{kind}.near", family[:at] + family[at + 1 :] if at < len(family) else family)
        for family in families
        if len(family) >= _NEAR_SHORTEST
        for at in range(len(family) + 1)
    }


def terms_of_text(kind: str, value: str) -> set[Term]:
    """Terms of a text, an identifier or a description: two short edges, trigrams inside words."""
    terms: set[Term] = set()
    for single in value.split("\\"):
        folded = fold(single)
        terms.update((f"{kind}.edge", folded[:length]) for length in _lengths(folded, 2))
        for word in folded.split(" "):
            terms.update((f"{kind}.gram", gram) for gram in _trigrams(word))
    return terms


def needs_of_name(kind: str, pattern: str) -> list[Term]:
    """Terms that every name matching a pattern has, rarest first, at most three.

    Args:
        kind: Prefix of the attribute.
        pattern: A name, `*` and `?` allowed; groups are not taken apart.
    """
    folded = fold_name(pattern)
    if "=" in folded:
        folded = next((group for group in folded.split("=") if group), "")
    first: list[Term] = []
    grams: list[Term] = []
    for run, is_anchored in _runs(folded):
        pieces = run.split("^")
        if is_anchored:
            first.extend(_edge_of_name(kind, run, pieces))
            pieces[0] = pieces[0][_EDGE_LONGEST - 2 :]  # what the edge has said already is not asked again
        first.extend((f"{kind}.part", piece[:_PART_LONGEST]) for piece in pieces[1:] if piece and not is_anchored)
        for piece in pieces:
            grams.extend((f"{kind}.gram", gram) for gram in _trigrams(piece))
    return (first + sorted(set(grams), key=_rarity, reverse=True))[:_MOST_TERMS]


def needs_of_text(kind: str, pattern: str) -> list[Term]:
    """Terms that every text matching a pattern has, rarest first, at most three."""
    folded = fold_pattern(pattern)
    edges: list[Term] = []
    grams: list[Term] = []
    for run, is_anchored in _runs(folded):
        for word in run.split(" "):
            grams.extend((f"{kind}.gram", gram) for gram in _trigrams(word))
        if is_anchored and run.strip():
            edges.append((f"{kind}.edge", run[:2]))
    ordered = sorted(set(grams), key=_rarity, reverse=True)
    return ordered[:_MOST_TERMS] if ordered else edges[:1]


def fold_pattern(pattern: str) -> str:
    """A text pattern folded; `*` and `?` stay as they are."""
    return fold(pattern)


def _edge_of_name(kind: str, run: str, pieces: list[str]) -> Iterator[Term]:
    if len(pieces) > 1 and pieces[1]:
        yield f"{kind}.given", f"{pieces[0]}^{pieces[1][:_GIVEN_LONGEST]}"
    elif run:
        yield f"{kind}.edge", run[:_EDGE_LONGEST]


def _runs(folded: str) -> Iterator[tuple[str, bool]]:
    """Literal runs between wildcards, and whether a run stands at the beginning."""
    for place, run in enumerate(re.split(r"[*?]", folded)):
        if run:
            yield run, place == 0


def _lengths(text: str, longest: int) -> range:
    return range(1, min(longest, len(text)) + 1)


def _trigrams(word: str) -> Iterable[str]:
    return (word[start : start + 3] for start in range(len(word) - 2))


def _rarity(term: Term) -> int:
    """How rare the letters of a term are; a guess that needs no statistics of anybody's names."""
    return sum(_COMMON_FIRST.find(sign) % (len(_COMMON_FIRST) + 1) for sign in term[1])
