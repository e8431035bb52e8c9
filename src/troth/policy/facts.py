"""What the decision needs to know about this moment: asked of the upper rooms, never cached."""

from __future__ import annotations

from typing import Protocol

from troth.policy.model import Actor, Target
from troth.policy.moment import Distrusted, FactSet, Instructed

__all__ = ["Distrusted", "FactSet", "Facts", "Instructed"]


class Facts(Protocol):
    """Where facts come from. Upper rooms implement it; `main` binds it."""

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            actor: Who acts.
            target: What is acted on.
        """
        ...
