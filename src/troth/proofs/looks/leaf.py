"""A leaf of the ledger as looks read it: what was committed, never a row that the ledger does not bind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

from troth.kit.errors import TrothError


class LeafUnreadable(TrothError):
    """A leaf is no JSON object, or does not say what it is; the ledger's own check names it."""

    slug = "leaf-unreadable"


@dataclass(frozen=True)
class Leaf:
    """What an entry said in the clear.

    Attributes:
        said: The fields of the leaf, by their names in `ledger.leaf`.
    """

    said: Mapping[str, Any]

    @classmethod
    def read(cls, octets: bytes) -> Leaf:
        """From canonical bytes.

        Raises:
            LeafUnreadable: It is no leaf.
        """
        try:
            said = json.loads(octets)
        except ValueError as fault:
            raise LeafUnreadable from fault
        if not isinstance(said, dict) or type(said.get("index")) is not int or type(said.get("kind")) is not str:
            raise LeafUnreadable
        return cls(said)

    @property
    def index(self) -> int:
        """Number in the ledger, from 0."""
        return int(self.said["index"])

    @property
    def is_full(self) -> bool:
        """Whether it says all that looks need: version 1 said neither action nor references."""
        return int(self.said["v"]) > 1

    @property
    def kind(self) -> str:
        """What happened, of `ledger.KINDS`."""
        return str(self.said["kind"])

    @cached_property
    def at(self) -> datetime:
        """When."""
        return datetime.fromisoformat(self.said["at"])

    @property
    def tenant(self) -> str:
        """The organisation in whose space it happened; empty on the platform."""
        return self.said["tenant"] or ""

    @property
    def actor(self) -> str:
        """Our id of who acted; empty for anonymous."""
        return self.said["actor_id"] or ""

    @property
    def actor_kind(self) -> str:
        """`user`, `patient`, `peer`, `system` or `anonymous`."""
        return str(self.said["actor_kind"])

    @property
    def role(self) -> str:
        """In which role."""
        return str(self.said["role"])

    @property
    def subject(self) -> str:
        """Whose life it touches; empty where nobody's."""
        return self.said["subject_id"] or ""

    @property
    def study(self) -> str:
        """The study it is about; empty where it is about none."""
        return self.said["study_id"] or ""

    @property
    def purpose(self) -> str:
        """What for."""
        return str(self.said["purpose"])

    @property
    def clauses(self) -> tuple[str, ...]:
        """Clauses and further grounds that allowed or forbade it."""
        return tuple(self.said["clauses"])

    @property
    def is_done(self) -> bool:
        """It was done, and neither refused nor failed."""
        return bool(self.said["outcome"] == "done")

    @property
    def is_decided(self) -> bool:
        """A decision of the notice stands behind it."""
        return self.said["decision_id"] is not None

    @property
    def counts(self) -> Mapping[str, int]:
        """Numbers, in the clear."""
        found: Mapping[str, int] = self.said["counts"]
        return found

    @property
    def action(self) -> str:
        """What was allowed, of `notice.ACTIONS`."""
        return str(self.said.get("action", ""))

    @property
    def via(self) -> str:
        """The surface by which it came."""
        return str(self.said.get("via", ""))

    @property
    def session(self) -> str:
        """The sign-in or token that stood behind the actor."""
        return str(self.said.get("session", ""))

    @property
    def people(self) -> tuple[str, ...]:
        """Accounts of further people who acted."""
        return tuple(self.said.get("people", ()))

    def ref(self, noun: str) -> str:
        """The id of the first thing of a kind that is meant; empty where none is."""
        return next((str(each) for name, each in self.said.get("refs", ()) if name == noun), "")

    def refs(self, noun: str) -> tuple[str, ...]:
        """The ids of all things of a kind that are meant."""
        return tuple(str(each) for name, each in self.said.get("refs", ()) if name == noun)

    def word(self, name: str) -> str:
        """A word that it says; empty where it says none."""
        return str(self.said.get("says", {}).get(name, ""))

    def moment(self, name: str) -> datetime | None:
        """A clock that it names; a day counts to its end (UTC)."""
        text = self.said.get("dates", {}).get(name)
        if text is None:
            return None
        if "T" in text:
            return datetime.fromisoformat(text)
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)

    def begins(self, name: str) -> datetime | None:
        """A clock that it names; a day counts from its beginning (UTC)."""
        text = self.said.get("dates", {}).get(name)
        if text is None:
            return None
        return datetime.fromisoformat(text) if "T" in text else datetime.fromisoformat(f"{text}T00:00:00+00:00")
