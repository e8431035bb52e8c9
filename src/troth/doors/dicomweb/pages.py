"""Where the pages of searches ended: the next page goes on there, whatever was stored meanwhile, and costs no more.

DICOMweb counts pages by offset (PS3.18 8.3.4.4), so that the next one would hold again what newer studies have pushed
there, and a late one would cost all before it. An offset at which a page of the same caller's same search ended stands
for that place; any other is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from troth.archive import Page, Query
from troth.kit import clock
from troth.policy import Actor

_LASTS = timedelta(minutes=10)
_MOST = 4_096


class Caller(Protocol):
    """Who asks; each session has pages of its own."""

    @property
    def actor(self) -> Actor:
        """Who."""

    @property
    def purpose(self) -> str:
        """What for."""

    @property
    def is_at_viewer(self) -> bool:
        """From the viewer."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended.

    Attributes:
        after: The study before the one in which it ended; None where that was the first.
        skip: Results of that one that were given.
    """

    after: tuple[date, UUID] | None
    skip: int
    at: datetime


class Pages:
    """The places of this process. What is searched for is kept as its digest alone."""

    def __init__(self) -> None:
        self._places: OrderedDict[bytes, _Place] = OrderedDict()

    def resumed(self, caller: Caller, query: Query) -> Query:
        """The search from where the page before it ended, where that is known.

        Args:
            caller: Who asks.
            query: As it is asked.
        """
        place = self._places.get(_key(caller, query, query.offset)) if query.offset else None
        if place is None or clock.now() - place.at > _LASTS:
            return query
        return replace(query, after=place.after, offset=place.skip)

    def note(self, caller: Caller, asked: Query, done: Query, page: Page) -> None:
        """Remember where a page ended.

        Args:
            caller: Who asked.
            asked: As it was asked.
            done: What `resumed` made of it.
            page: What was found.
        """
        if not page.is_more or not page.found:
            return
        last = page.found[-1].study.id
        before = [found for found in page.found if found.study.id != last]
        given = len(page.found) - len(before)
        after: tuple[date, UUID] | None
        if asked.level == "study":
            after, given = page.found[-1].place, 0
        elif before:
            after = before[-1].place
        elif done is asked and asked.offset:
            return  # counted from the start: which study came before is not known
        else:
            after, given = done.after, given + done.offset
        key = _key(caller, asked, asked.offset + len(page.found))
        self._places[key] = _Place(after, given, clock.now())
        self._places.move_to_end(key)
        while len(self._places) > _MOST:
            self._places.popitem(last=False)


def _key(caller: Caller, query: Query, offset: int) -> bytes:
    actor, keys = caller.actor, sorted((match.tag, match.value) for match in query.matches)
    who = (actor.tenant, actor.id, actor.session_id, caller.purpose, caller.is_at_viewer)
    asked = (who, query.level, query.is_fuzzy, keys, offset)
    return sha256(repr(asked).encode("utf-8", "surrogatepass")).digest()
