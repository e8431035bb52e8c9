"""Who is assigned to whom, for whole lists: the SQL that says it of each row. The same facts as `facts.py`."""

from __future__ import annotations

from typing import LiteralString

from troth.kit import clock
from troth.people.assignments.model import CLAIMS
from troth.policy import Actor, Column, Columns

_OF_THEM: LiteralString = """(g.subject_id = {subject} or g.subject_id in (select m.subject_id from subject_merge m
    where m.tenant = {tenant} and m.surviving_id = {subject} and m.ended_at is null))"""
_ASSIGNED: dict[str, LiteralString] = {
    "care": """exists (select from assignment g where g.tenant = {tenant} and g.account_id = %(assigned_to)s
    and g.way = 'care' and g.ended_at is null and g.until > %(assigned_now)s and """
    + _OF_THEM
    + " and (g.study_id is null or g.study_id = {id}))",
    "emergency": """exists (select from assignment g where g.tenant = {tenant} and g.account_id = %(assigned_to)s
    and g.way = 'emergency' and g.ended_at is null and g.until > %(assigned_now)s and """
    + _OF_THEM
    + " and (g.study_id is null or g.study_id = {id}))",
    "duty": """exists (select from assignment g where g.tenant = {tenant} and g.account_id = %(assigned_to)s
    and g.way = 'duty' and g.ended_at is null and g.until > %(assigned_now)s)""",
}
_WAYS = {f"claim:{claim}": way for way, claim in CLAIMS.items()}


class AssignmentRows:
    """Implements `policy.RowFacts` for assignments."""

    def column(self, name: str, row: Columns, actor: Actor) -> Column | None:
        """How SQL reads whether the actor takes part in the care of whoever a row is about.

        Args:
            name: A fact, as decisions name it.
            row: The columns of the row: `tenant`, `subject`, `id`.
            actor: Who lists.
        """
        way = _WAYS.get(name)
        if way is None:
            return None
        if actor.kind != "user" or actor.id is None:
            return Column("false", "bool")
        text = _ASSIGNED[way]
        for place in ("tenant", "subject", "id"):
            column = row[place]
            assert isinstance(column, Column)
            text = text.replace("{" + place + "}", column.sql)
        return Column(text, "bool", parameters={"assigned_to": actor.id, "assigned_now": clock.now()})
