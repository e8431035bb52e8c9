"""What people chose, for whole lists: the SQL that says it of each row. The same facts as `facts.py`, row by row."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, LiteralString

from troth.kit import clock
from troth.policy import Actor, Column, Columns

# A choice of the person that a row is about; one of a merged subject counts until the survivor chooses anew.
_ANY: LiteralString = """(exists (select from choice c where c.tenant = {tenant} and c.holder_id = {subject}
    and c.is_current and {condition}) or exists (select from subject_merge m join choice c on c.tenant = m.tenant
    and c.holder_id = m.subject_id where m.tenant = {tenant} and m.surviving_id = {subject} and m.ended_at is null
    and c.is_current and {condition} and not exists (select from choice n where n.tenant = c.tenant
    and n.holder_id = m.surviving_id and n.kind = c.kind and n.key = c.key and n.is_current
    and n.made_at > m.made_at)))"""
_CHOICE: LiteralString = _ANY.replace(
    "{condition}",
    """c.kind = %(choice_kind)s and c.key = %(choice_key)s and c.state = any(%(choice_states)s)
    and (c.state <> 'given' or c.expires_at is null or c.expires_at > %(choice_now)s)""",
)
_REFUSED: LiteralString = _ANY.replace(
    "{condition}",
    "c.kind = %(choice_kind)s and c.key = %(choice_key)s and c.state = any(array['refused', 'withdrawn'])",
)
# Of merged subjects each may have answered: then the stricter answer counts.
_CONSENT: LiteralString = "({given} and not {refused})".replace("{given}", _CHOICE).replace("{refused}", _REFUSED)
_ANY_OF_KIND: LiteralString = _ANY.replace(
    "{condition}", "c.kind = %(choice_kind)s and c.state = any(%(choice_states)s)"
)
# Each part compares columns for equality alone, so that PostgreSQL reads it once for a whole list and not in each row.
_RESTRICTED: LiteralString = """(exists (select from restriction x where x.tenant = {tenant}
    and x.subject_id = {subject} and x.lifted_at is null and x.study_id is null)
    or exists (select from restriction x where x.tenant = {tenant} and x.study_id = {id} and x.lifted_at is null)
    or exists (select from subject_merge m join restriction x on x.tenant = m.tenant and x.subject_id = m.subject_id
    where m.tenant = {tenant} and m.surviving_id = {subject} and m.ended_at is null and x.lifted_at is null
    and x.study_id is null))"""
_KINDS: dict[str, tuple[LiteralString, tuple[LiteralString, ...]]] = {
    "consent": ("consent", ("given",)),
    "objection": ("objection", ("granted", "waiting")),
    "stopped": ("channel", ("refused", "withdrawn")),
}


class ChoiceRows:
    """Implements `policy.RowFacts` for consents, objections, channels, versions, restrictions and ages."""

    def column(self, name: str, row: Columns, actor: Actor) -> Column | None:
        """How SQL reads a choice of the person that a row is about.

        Args:
            name: A fact, as decisions name it.
            row: The columns of the row: `tenant`, `subject`, `id`.
            actor: Who lists; what somebody chose counts whoever that is.
        """
        if name == "context.is_restricted":
            return _column(_RESTRICTED, row, {}, "")
        word, _, key = name.removeprefix("claim:").partition(":")
        if word in _KINDS and key:
            kind, states = _KINDS[word]
            given = {"kind": kind, "key": key, "states": list(states), "now": clock.now()}
            return _column(_CONSENT if kind == "consent" else _CHOICE, row, given, name)
        if name == "claim:pinned":
            return _column(_ANY_OF_KIND, row, {"kind": "version", "states": ["refused"]}, name)
        if word == "before":
            return _column(_ANY_OF_KIND, row, {"kind": "version", "states": ["refused"]}, name, is_sealed=True)
        if word == "age":
            return _column(_ANY_OF_KIND, row, {"kind": "age", "states": ["given"]}, name, is_sealed=True)
        return None


def _column(
    template: LiteralString, row: Columns, given: dict[str, Any], name: str, *, is_sealed: bool = False
) -> Column:
    mark: LiteralString = "".join(letter if letter.isalnum() else "_" for letter in name)
    tenant, subject, study = row["tenant"], row["subject"], row["id"]
    assert isinstance(tenant, Column)
    assert isinstance(subject, Column)
    assert isinstance(study, Column)
    text = _written(template, tenant.sql, subject.sql, study.sql, tuple(given), mark)
    parameters = {f"{mark}_{word}": value for word, value in given.items()}
    return Column(text, "bool", parameters=parameters, is_sealed=is_sealed)


@lru_cache(maxsize=512)
def _written(
    template: LiteralString,
    tenant: LiteralString,
    subject: LiteralString,
    study: LiteralString,
    given: tuple[str, ...],
    mark: LiteralString,
) -> LiteralString:
    """A template with its columns, and with parameters that no other template of the same list has."""
    text = template.replace("{tenant}", tenant).replace("{subject}", subject).replace("{id}", study)
    for word in given:
        text = text.replace("%(choice_" + word + ")s", "%(" + mark + "_" + word + ")s")
    return text
