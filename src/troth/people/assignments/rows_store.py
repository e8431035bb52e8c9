"""Who is assigned to whom, for whole lists: the SQL that says it of each row. The same facts as `facts.py`."""

from __future__ import annotations

from typing import LiteralString

from troth.kit import clock
from troth.people.assignments.model import CLAIMS
from troth.policy import Actor, Column, Columns

# Of the person, of this study, or of a subject merged into the person. Each part compares columns for equality alone,
# so that PostgreSQL reads it once for a whole list and not in each row.
_ASSIGNED_TO: LiteralString = """(exists (select from assignment g where g.tenant = {tenant}
    and g.account_id = %(assigned_to)s and g.way = '{way}' and g.ended_at is null and g.until > %(assigned_now)s
    and g.subject_id = {subject} and g.study_id is null)
    or exists (select from assignment g where g.tenant = {tenant} and g.account_id = %(assigned_to)s
    and g.way = '{way}' and g.ended_at is null and g.until > %(assigned_now)s and g.study_id = {id})
    or exists (select from subject_merge m join assignment g on g.tenant = m.tenant and g.subject_id = m.subject_id
    where m.tenant = {tenant} and m.surviving_id = {subject} and m.ended_at is null
    and g.account_id = %(assigned_to)s and g.way = '{way}' and g.ended_at is null and g.until > %(assigned_now)s
    and g.study_id is null))"""
_ASSIGNED: dict[str, LiteralString] = {
    "care": _ASSIGNED_TO.replace("{way}", "care"),
    "emergency": _ASSIGNED_TO.replace("{way}", "emergency"),
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
