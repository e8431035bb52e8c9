"""What people chose, as facts of a decision: read each time, so that a withdrawal is felt by the next one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Protocol
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Database, Row
from troth.people.choices import store
from troth.people.choices.model import age_on, context, from_bytes, state_at
from troth.policy import Actor, Distrusted, FactSet, Target, belief
from troth.vault import KeyDestroyed, KeyRef, Keyring

#: What a choice that was changed past us counts as. A birth date is sealed to its row, so it is what it was.
_STRICTEST = {"consent": "refused", "channel": "refused", "objection": "granted", "version": "refused"}
_SAID_BY_TARGET = ("channel", "decision")
_SAID_BY_FORM = "consent"


class Band(Protocol):
    """An age band of the notice."""

    @property
    def key(self) -> str:
        """Its word in the notice."""

    @property
    def from_years(self) -> int:
        """From this birthday on."""

    @property
    def below_years(self) -> int:
        """Until the day before this birthday."""


class ChoiceFacts:
    """Implements `policy.Facts` for consents, channels, objections, versions, restrictions and ages.

    Claims it gives, each about the person that the target is about: `consent:<key>`, `consent:<key>:<channel>`,
    `stopped:<channel>`, `objection:<activity>`, `age:<band>`; of somebody who objected to a version of the notice
    `pinned`, and `before:<activity>` for each activity of the version that they stay with. A target that names a
    channel or a decision in its attributes also gets `channel:<word>` or `decision:<word>`; the latter also
    `decided_by_person`, where whoever acts is one. Of somebody who is not known yet, `consent:<key>` is what
    the form says that they send now.

    Args:
        db: Opened as `troth_app`.
        keyring: Opens stated birth dates, and computes the tags that rows must have. Of a row without its own the
            stricter reading counts: no consent, no message, the objection and the restriction stand.
        bands: Age bands of the notices in force.
    """

    def __init__(self, db: Database, keyring: Keyring, bands: Sequence[Band] = ()) -> None:
        self._db = db
        self._keyring = keyring
        self.bands = tuple(bands)

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            actor: Who acts; what somebody chose counts whoever acts.
            target: What is acted on.
        """
        scope = target if target.tenant is not None else actor
        if not holders_of(target) or scope.tenant is None:
            return FactSet(claims=frozenset({*_said(target), *_agreed(actor, target)}))
        async with self._db.transaction(scope) as connection:
            return await self.read(connection, actor, target)

    async def read(self, connection: Connection, actor: Actor, target: Target) -> FactSet:
        """The same over a connection at hand: one statement, none where the target is about nobody."""
        holders = holders_of(target)
        said = {*_said(target), *_agreed(actor, target), *_by_person(actor, target)}
        if not holders:
            return FactSet(claims=frozenset(said))
        rows, doubts = self._read(await store.facts(connection, holders))
        claims = {*said, *self._claims(rows, dict(target.attributes))}
        # A restricted study is restricted for every decision about it; a restricted subject for everything of theirs.
        about = {"", str(target.id)} if target.kind == "study" else {""}
        is_restricted = any(row["kind"] == "restriction" and row["key"] in about for row in rows)
        return FactSet(is_restricted=is_restricted, claims=frozenset(claims), distrusted=doubts)

    def _read(self, rows: Iterable[Row]) -> tuple[list[Row], tuple[Distrusted, ...]]:
        """What stands; what is not as it was bound stands as strictly as it could."""
        standing, doubts = [], []
        for row in rows:
            if doubt := belief.doubted(self._keyring, row["register"], row):
                doubts.append(doubt)
                standing.append({**row, "state": _STRICTEST.get(row["kind"], row["state"])})
            elif row["is_current"]:
                standing.append(row)
        return standing, tuple(doubts)

    def _claims(self, rows: Iterable[Row], attributes: dict[str, str]) -> Iterator[str]:
        now, held = clock.now(), list(rows)
        # Of merged subjects each may have answered: then the stricter answer counts.
        refused = {row["key"] for row in held if row["kind"] == "consent" and row["state"] in ("refused", "withdrawn")}
        for row in held:
            state = state_at(row["state"], row["expires_at"], now)
            match row["kind"], state:
                case "consent", "given" if row["key"] not in refused:
                    yield f"consent:{row['key']}"
                case "channel", "refused" | "withdrawn":
                    channel, _, topic = row["key"].partition(":")
                    yield f"stopped:{row['key']}"
                    if topic and topic == attributes.get("topic"):
                        yield f"stopped:{channel}"
                case "objection", "granted" | "waiting":
                    yield f"objection:{row['key']}"
                case "version", "refused":
                    yield "pinned"
                    yield from (f"before:{purpose}" for purpose in self._record(row).get("purposes", ()))
                case "age", "given":
                    yield from self._ages(row)

    def _ages(self, row: Row) -> Iterator[str]:
        """The band of an age that was stated: the birth date itself is told to nobody."""
        if (born := self._record(row).get("birth_date")) is not None:
            years = age_on(date.fromisoformat(born), clock.today())
            yield from (f"age:{band.key}" for band in self.bands if band.from_years <= years < band.below_years)

    def _record(self, row: Row) -> dict[str, Any]:
        """The sealed part, of the few kinds whose facts are not in the clear; nothing once the person is erased."""
        try:
            return from_bytes(
                self._keyring.unseal(KeyRef(row["key_ref"]), row["sealed"], context(row["tenant"], row["id"]))
            )
        except KeyDestroyed:
            return {}


def holders_of(target: Target) -> list[UUID]:
    """Whose choices bear on a target: the subject or account that it is about."""
    own = target.id if target.kind in ("subject", "account") else None
    return [each for each in {target.subject_id, own} if each is not None]


def _by_person(actor: Actor, target: Target) -> Iterator[str]:
    """That a person decides: somebody signed in at a page, and no program with a bearer token of theirs."""
    is_person = actor.kind == "user" and actor.session_id is not None and actor.id != actor.session_id
    if is_person and dict(target.attributes).get("decision"):
        yield "decided_by_person"


def _agreed(actor: Actor, target: Target) -> Iterator[str]:
    """The yes in a form of somebody of whom nothing is kept yet; whoever is known has their own answer."""
    if actor.kind == "anonymous":
        yield from (f"consent:{word}" for name, word in target.attributes if name == _SAID_BY_FORM)


def _said(target: Target) -> Iterator[str]:
    for name, word in target.attributes:
        if name in _SAID_BY_TARGET:
            yield f"{name}:{word}"
