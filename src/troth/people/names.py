"""Whether a name that somebody typed is the name that DICOM holds.

Case, accents, order and punctuation do not count: `Zoë Müller-Lüdenscheidt` is `MUELLER LUEDENSCHEIDT^ZOE`. What does
count is every word of family and given name; middle names may be left out, titles and suffixes are not compared.

Per: DICOM PS3.5 6.2.1 (Person Name: five components by `^`, three groups by `=`).
"""

from __future__ import annotations

import re
import unicodedata
from hmac import compare_digest

_WORD = re.compile(r"[^\W_]+")
# Letters that do not come apart into a base letter and an accent.
_PLAIN = str.maketrans({"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"})
# The same in the spelling of passports and of systems without accents (ICAO 9303, part 3, section 6).
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


def matches(typed: str, held: str) -> bool:
    """Compare a typed name with a DICOM person name.

    Args:
        typed: Such as `Ada Lovelace`, `Lovelace, Ada` or `Lovelace^Ada`.
        held: PatientName as in DICOM, `Family^Given^Middle^Prefix^Suffix`, up to three groups.

    Returns:
        Whether they are the same name. An empty name is nobody's.
    """
    offered = _keys_of_typed(typed)
    wanted = [key for group in held.split("=") for key in _keys_of_group(group)]
    agreed = False
    for one in offered:
        for other in wanted:
            # No early end: which form agreed must not show in the time it took.
            agreed |= compare_digest(one, other)
    return agreed


def displayed(held: str) -> str:
    """A DICOM person name as it is written in a letter: `Ada King Lovelace`."""
    family, given, middle = _components(held.split("=", 1)[0])
    return " ".join(part.strip() for part in (given, middle, family) if part.strip())


def likeness(held: str) -> str:
    """Family and given name without what is often written otherwise: case, accents, order, punctuation, middle names.

    Args:
        held: PatientName as in DICOM.

    Returns:
        A text that two spellings of one name share; empty where there is no name.
    """
    family, given, _ = _components(held.split("=", 1)[0])
    return _in_any_order(_words(family, spelled=True) + _words(given, spelled=True)).decode()


def _components(group: str) -> tuple[str, str, str]:
    family, given, middle, *_ = (*group.split("^"), "", "", "")
    return family, given, middle


def _words(text: str, *, spelled: bool) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    if spelled:
        folded = folded.translate(_SPELLED)
    folded = unicodedata.normalize("NFKD", folded.translate(_PLAIN))
    return _WORD.findall("".join(letter for letter in folded if not unicodedata.combining(letter)))


def _keys_of_typed(typed: str) -> set[bytes]:
    name = " ".join(_components(typed)) if "^" in typed else typed
    keys = set()
    for spelled in (False, True):
        found = _words(name, spelled=spelled)
        keys |= {_in_any_order(found), _run_together(found)}
    return keys - {b""}


def _keys_of_group(group: str) -> set[bytes]:
    family, given, middle = _components(group)
    keys = set()
    for spelled in (False, True):
        families, givens = _words(family, spelled=spelled), _words(given, spelled=spelled)
        keys |= {
            _in_any_order(families + givens),
            _in_any_order(families + givens + _words(middle, spelled=spelled)),
            # For scripts that put no space between names, and for Annemarie as against Anne-Marie.
            _run_together(families + givens),
            _run_together(givens + families),
        }
    return keys - {b""}


def _in_any_order(found: list[str]) -> bytes:
    return " ".join(sorted(found)).encode()


def _run_together(found: list[str]) -> bytes:
    return "".join(found).encode()
