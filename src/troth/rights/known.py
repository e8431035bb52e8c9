"""How we know what we hold about somebody, item by item: given, observed or concluded; from whom; how it came.

Per: GDPR Art. 15(1)(g); Art. 29 WP 242 rev.01 (provided, observed, inferred).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from troth.ledger import Event
from troth.notice import Notice

Obtained = Literal["provided", "observed", "inferred"]
Origin = Literal["subject", "controller", "device", "third_party"]

WORDS: Final[Mapping[str, str]] = {
    "provided": "What was given to us",
    "observed": "What was observed",
    "inferred": "What was concluded from the rest",
}
_BEARER: Final = "Bearer token"
_WAYS: Final[Mapping[str, str]] = {
    "invitation": "the form of the invitation",
    "sign_in": "the page of the sign-in link",
    "page": "a form on our pages",
    "command_line": "a file at the command line of those who run the service",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where something came from.

    Attributes:
        origin: Who or what gave it, in the words of the notice.
        who: By name.
        how: The way it came.
        clause: The clause of the notice that lists the source; empty where none does.
    """

    origin: Origin
    who: str = field(repr=False)
    how: str
    clause: str = ""
    at: datetime | None = None

    @property
    def words(self) -> str:
        """In one line."""
        return f"{self.who}, by {self.how}"

    def as_json(self) -> dict[str, Any]:
        """For a copy."""
        told = {"origin": self.origin, "who": self.who, "how": self.how, "clause": self.clause}
        return {**told, "at": self.at.isoformat() if self.at else None}


@dataclass(frozen=True, slots=True)
class Known:
    """One thing that is held about somebody.

    Attributes:
        what: What it is.
        value: What it says.
        because: Of something concluded: from what.
    """

    what: str
    value: str = field(repr=False)
    obtained: Obtained
    source: Source
    because: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a copy; what was concluded is marked as such."""
        told: dict[str, Any] = {"what": self.what, "value": self.value, "source": self.source.as_json()}
        if self.obtained == "inferred":
            told["is_inferred"] = True
            told["concluded_from"] = self.because
        return told


def apart(items: Iterable[Known]) -> dict[str, list[Known]]:
    """Items by how they were obtained: given, observed, concluded."""
    found: dict[str, list[Known]] = {name: [] for name in WORDS}
    for each in items:
        found[each.obtained].append(each)
    return found


def as_json(items: Iterable[Known]) -> dict[str, list[dict[str, Any]]]:
    """The same for a copy."""
    return {name: [each.as_json() for each in found] for name, found in apart(items).items()}


def clause_of(notices: Sequence[Notice], origin: str, audience: str, holding: str) -> str:
    """The clause that lists a kind of source of something for an audience; empty where none does.

    Args:
        notices: In force.
        origin: Who or what gave it.
        audience: Whom it is about.
        holding: What it is, of `notice.HOLDINGS`.
    """
    for notice in notices:
        for clause in notice.all("source"):
            told = clause.content()
            if told["origin"] != origin or told["is_never"] or audience not in clause.audiences:
                continue
            categories = [notice.find("category", key) for key in told["categories"]]
            if any(holding in getattr(each, "holdings", ()) for each in categories):
                return clause.id
    return ""


def way(word: str) -> str:
    """A way in as a person reads it."""
    return _WAYS.get(word, word.replace("_", " "))


def brought(event: Event) -> tuple[Origin, str, str]:
    """Who brought a study in, and how: read from the entry that was written when it was stored.

    Returns:
        Origin, who, how.
    """
    told = event.payload or {}
    organisation, actor = str(told.get("organisation", "")), str(told.get("actor", ""))
    came_by = str(told.get("came_by", "")) or ("STOW-RS" if actor == _BEARER else "C-STORE")
    if event.actor_kind == "peer" and came_by == "C-STORE":
        return "device", f"{actor} of {organisation}", f"DICOM network (C-STORE), from the AE title {actor}"
    if actor and actor != _BEARER:
        return "controller", f"{actor} of {organisation}", "DICOMweb (STOW-RS)"
    return "controller", f"a program of {organisation}", "DICOMweb (STOW-RS), with a token that the organisation issued"
