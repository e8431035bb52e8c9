"""Where data is taken in and kept, where it goes, and by which surfaces: residency, the reach of a notice, surfaces."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from troth.notice import Clause, Notice, places
from troth.proofs.looks.base import Look, Tally, Text, Told
from troth.proofs.looks.leaf import Leaf
from troth.proofs.looks.shape import Group, OfShape, Shape
from troth.proofs.model import Finding

_STARTED: Final = "main:node:started"
_STORED, _DEPARTED = "archive:instances:stored", "exchange:disclosure:recorded"


class OfResidency(Look):
    """Everything was taken in by a machine in these countries, and nothing left for another one.

    Where a machine stands is what its operator declared. An arrival names it; one that does not was taken in by one of
    the machines that had started until then, and is judged only where all of them stand on the same side.
    """

    name = "residency"
    kinds = frozenset({_STARTED, _STORED, _DEPARTED})

    def __init__(self, clause: Clause, notice: Notice) -> None:
        self._regions = frozenset(getattr(clause, "regions", ()))
        ways = [name for found in notice.all("transfer") for name in getattr(found, "destinations", ())]
        self._reached = self._regions | frozenset(notice.regions) | places(ways)
        self._nodes: dict[str, str] = {}
        self._tally = Tally(
            Told(
                "everything was taken in where the notice says, as the operator declares it, and nothing left for"
                " elsewhere",
                "something was taken in elsewhere, or left for elsewhere",
                "nothing has arrived or left yet",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A machine that started, an arrival, or something that is about to leave."""
        if not leaf.is_full:
            if leaf.kind != _STARTED:
                self._tally.skip(leaf)
        elif leaf.kind == _STARTED:
            self._nodes[leaf.ref("node")] = leaf.word("region")
        elif leaf.is_done and leaf.kind == _DEPARTED:
            self._tally.judge(leaf, leaf.word("country") in self._reached)
        elif leaf.is_done:
            stood = {leaf.word("region")} if leaf.word("region") else set(self._nodes.values())
            sides = {region in self._regions for region in stood}
            if len(sides) == 1:
                self._tally.judge(leaf, sides.pop())
            else:
                self._tally.skip(leaf)

    def found(self, now: datetime) -> Finding:
        """Over all that arrived and left."""
        return self._tally.finding(self.name)


class OfScope(OfShape):
    """No server started with a surface that is not listed, nothing came by one, what is out of reach was left alone.

    In a deployment with several notices a surface may be of another one of them. What stands under terms of its own was
    used only for the activities that those leave open.
    """

    name = "scope"
    kinds = frozenset({_STARTED, "people:contact:told", "lifecycle:contact:disposed"})

    def __init__(self, shape: Shape, clause: Clause, notice: Notice, text: Text) -> None:
        super().__init__(
            shape,
            Told(
                "every server started with the surfaces that are listed and no other, and everything came by them",
                "a server started with a surface that is not listed, or something was done out of the notice's reach",
                "no server has said yet what it starts with, and nothing of this was met",
            ),
        )
        others = [each.head.surfaces for each in text.current if each.name != notice.name]
        included = frozenset(getattr(clause, "includes", ()))
        self._surfaces = included.union(*others) if included else frozenset()
        self._excluded = frozenset(getattr(clause, "excludes", ()))
        self._purposes = frozenset(getattr(clause, "purposes", ()))
        self._met = Tally(self._told)

    def see(self, leaf: Leaf) -> None:
        """A server that started, or something done with what stands under terms of its own."""
        if not leaf.is_full:
            return
        if leaf.kind == _STARTED:
            if self._surfaces:
                _judge_start(self._met, leaf, self._surfaces)
        elif leaf.word("activity") in self._excluded and leaf.is_done:
            self._met.judge(leaf, leaf.purpose in self._purposes)

    def judge(self, group: Group) -> bool | None:
        """What came by a surface at all."""
        return group.via in self._surfaces if group.via and self._surfaces else None

    def found(self, now: datetime) -> Finding:
        """Over all starts and acts."""
        return self._met.joined(self.tally()).finding(self.name)


class OfSurfaces(Look):
    """No server started with a surface that no notice of the deployment lists: what it collects is compared there."""

    name = "surface"
    kinds = frozenset({_STARTED})

    def __init__(self, text: Text) -> None:
        self._surfaces = frozenset(surface for notice in text.current for surface in notice.head.surfaces)
        self._tally = Tally(
            Told(
                "every server started with the surfaces that are listed and no other",
                "a server started with a surface that is not listed",
                "no server has said yet what it starts with",
            )
        )

    def see(self, leaf: Leaf) -> None:
        """A server that started."""
        if leaf.is_full:
            _judge_start(self._tally, leaf, self._surfaces)

    def found(self, now: datetime) -> Finding:
        """Over all starts."""
        return self._tally.finding(self.name)


def _judge_start(tally: Tally, leaf: Leaf, listed: frozenset[str]) -> None:
    """A server that started: with listed surfaces alone. One that names none does not say what it starts with."""
    started = frozenset(leaf.word("surfaces").split("+")) - {""}
    if started:
        tally.judge(leaf, started <= listed)
    else:
        tally.skip(leaf)
