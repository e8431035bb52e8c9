"""All SQL of choices, restrictions and proposals. Everything lies behind row-level security."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.policy import belief

_CHOICE = """id, number, tenant, holder_id, holder_kind, kind, key, state, notice, version, clause, made_at, expires_at,
    is_current, sealed, event_id"""
_RESTRICTION = "id, number, tenant, subject_id, study_id, clause, made_at, lifted_at, sealed"
_PROPOSAL = "id, tenant, holder_id, what, state, made_at, decided_at, decided_by, sealed"

# Everything that a decision asks of this room, in one statement. Of each thing the newest choice, and each restriction
# that ever was, also what says that it is over: whether that is so, its tag tells. What merged subjects chose counts
# for their survivor, until that one chooses anew about the same; their restrictions bind until they are lifted.
FACTS: LiteralString = (
    """
with holder as (select distinct subject_surviving(h) as id from unnest(%(holders)s::uuid[]) h),
whose as (
    select id, null::uuid as surviving_id, null::timestamptz as merged_at from holder
    union all
    select m.subject_id, m.surviving_id, m.made_at from holder
    join subject_merge m on m.surviving_id = holder.id and m.ended_at is null),
newest as (
    select w.surviving_id, w.merged_at, c.* from whose w cross join lateral (
        select distinct on (kind, key) * from choice where holder_id = w.id order by kind, key, number desc) c)
select 'choice' as register, c.tenant, c.id, c.kind, c.key, c.state, c.expires_at, c.is_current,
       case when c.kind in ('age', 'version') then c.sealed end as sealed, coalesce(s.key, a.key) as key_ref,
       """  # noqa: S608
    + belief.columns("choice", "c")
    + """
from newest c
left join subject s on c.kind in ('age', 'version') and s.tenant = c.tenant and s.id = c.holder_id
left join account a on c.kind in ('age', 'version') and a.id = c.holder_id
where c.merged_at is null or not exists (select from newest n where n.holder_id = c.surviving_id
    and n.kind = c.kind and n.key = c.key and n.is_current and n.made_at > c.merged_at)
union all
select 'restriction', tenant, id, 'restriction', coalesce(study_id::text, ''), 'given', null, lifted_at is null,
       null, null, """
    + belief.columns("restriction", "restriction")
    + """
from restriction where subject_id = any(array(select subject_kin(id) from holder))
"""
)


async def _one(connection: Connection, statement: str, values: dict[str, Any]) -> Row | None:
    return await (await connection.execute(statement.encode(), values)).fetchone()


async def _all(connection: Connection, statement: str, values: dict[str, Any]) -> list[Row]:
    return await (await connection.execute(statement.encode(), values)).fetchall()


async def _insert(connection: Connection, table: str, values: dict[str, Any]) -> None:
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    await connection.execute(f"insert into {table} ({columns}) values ({places})".encode(), values)  # noqa: S608


async def facts(connection: Connection, holders: Sequence[UUID]) -> list[Row]:
    """What some holders chose last about each thing, and what restricts them; with what binds it."""
    return await (await connection.execute(FACTS, {"holders": list(holders)})).fetchall()


async def holder(connection: Connection, holder_id: UUID) -> Row | None:
    """A subject, or an account that is or was a member, with keys."""
    return await _one(
        connection,
        "select 'subject' as kind, key, audit_key, subject_surviving(id) as surviving_id from subject "
        "where id = %(id)s union all select 'account', a.key, a.key, m.account_id from membership m "
        "join account a on a.id = m.account_id where m.account_id = %(id)s limit 1",
        {"id": holder_id},
    )


async def reader(connection: Connection, holder_id: UUID) -> Row | None:
    """Who reads what was written to a holder, in which role, with the key."""
    return await _one(
        connection,
        "select 'subject' as kind, key, 'patient' as role from subject where id = %(id)s union all "
        "select 'account', a.key, m.role from membership m join account a on a.id = m.account_id "
        "where m.account_id = %(id)s limit 1",
        {"id": holder_id},
    )


async def next_number(connection: Connection, tenant: UUID) -> int:
    """The number of the next receipt of an organisation."""
    row = await _one(
        connection,
        "insert into choice_counter as c (tenant, next_number) values (%(tenant)s, 2) "
        "on conflict (tenant) do update set next_number = c.next_number + 1 returning next_number - 1 as number",
        {"tenant": tenant},
    )
    assert row is not None
    return int(row["number"])


async def current(connection: Connection, holder_id: UUID, kind: str, key: str) -> Row | None:
    """The choice that stands about one thing; locked until the transaction ends."""
    return await _one(
        connection,
        f"select {_CHOICE} from choice where holder_id = %(holder)s and kind = %(kind)s and key = %(key)s "  # noqa: S608
        "and is_current for update",
        {"holder": holder_id, "kind": kind, "key": key},
    )


async def insert(connection: Connection, values: dict[str, Any]) -> None:
    """Record a choice in place of the one before."""
    await connection.execute(
        "update choice set is_current = false where holder_id = %(holder_id)s and kind = %(kind)s "
        "and key = %(key)s and is_current",
        values,
    )
    await _insert(connection, "choice", values)


async def of_holder(connection: Connection, holder_id: UUID, *, only_current: bool) -> list[Row]:
    """Choices of a holder, and of subjects merged with it, newest first; `merged_at` where it is of one of these."""
    return await _all(
        connection,
        f"select {_CHOICE}, (select m.made_at from subject_merge m where m.subject_id = choice.holder_id "  # noqa: S608
        "and m.ended_at is null) as merged_at from choice where holder_id in (select subject_kin(%(holder)s)) "
        "and (is_current or not %(only_current)s) order by number desc",
        {"holder": holder_id, "only_current": only_current},
    )


async def choice(connection: Connection, choice_id: UUID) -> Row | None:
    """One choice."""
    return await _one(connection, f"select {_CHOICE} from choice where id = %(id)s", {"id": choice_id})  # noqa: S608


async def waiting(connection: Connection) -> list[Row]:
    """Choices that wait for a person, oldest first."""
    return await _all(
        connection,
        f"select {_CHOICE} from choice where state = 'waiting' and is_current order by made_at limit 500",  # noqa: S608
        {},
    )


async def insert_restriction(connection: Connection, values: dict[str, Any]) -> None:
    """Record a restriction."""
    await _insert(connection, "restriction", values)


async def restrictions(connection: Connection, subject_id: UUID) -> list[Row]:
    """Restrictions in force on a subject and on those merged with it, newest first."""
    return await _all(
        connection,
        f"select {_RESTRICTION} from restriction where subject_id in (select subject_kin(%(subject)s)) "  # noqa: S608
        "and lifted_at is null order by number desc",
        {"subject": subject_id},
    )


async def restriction(connection: Connection, restriction_id: UUID) -> Row | None:
    """One restriction; locked until the transaction ends."""
    return await _one(
        connection,
        f"select {_RESTRICTION} from restriction where id = %(id)s for update",  # noqa: S608
        {"id": restriction_id},
    )


async def lift(connection: Connection, restriction_id: UUID, now: datetime) -> None:
    """End a restriction."""
    await connection.execute("update restriction set lifted_at = %s where id = %s", (now, restriction_id))


async def insert_proposal(connection: Connection, values: dict[str, Any]) -> bool:
    """Queue a proposal; False where the same waits already."""
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    cursor = await connection.execute(
        f"insert into proposal ({columns}) values ({places}) on conflict do nothing".encode(),  # noqa: S608
        values,
    )
    return cursor.rowcount == 1


async def proposals(connection: Connection) -> list[Row]:
    """What waits for a person, oldest first."""
    return await _all(
        connection,
        f"select {_PROPOSAL} from proposal where state = 'queued' order by made_at",  # noqa: S608
        {},
    )


async def proposal(connection: Connection, proposal_id: UUID) -> Row | None:
    """One proposal; locked until the transaction ends."""
    return await _one(
        connection,
        f"select {_PROPOSAL} from proposal where id = %(id)s for update",  # noqa: S608
        {"id": proposal_id},
    )


async def decide_proposal(connection: Connection, values: dict[str, Any]) -> bool:
    """Write what a person decided; False when somebody did before."""
    cursor = await connection.execute(
        "update proposal set state = %(state)s, decided_at = %(decided_at)s, decided_by = %(decided_by)s, "
        "sealed = %(sealed)s where id = %(id)s and state = 'queued'",
        values,
    )
    return cursor.rowcount == 1


async def unused(connection: Connection, before: datetime) -> list[Row]:
    """Members who were not here since a moment, and when they last were; what waits for a person, or one decided."""
    return await _all(
        connection,
        "select m.account_id, greatest(m.made_at, m.last_here_at, max(s.seen_at)) as last_at, p.id as proposal_id, "
        "(select max(d.decided_at) from proposal d where d.tenant = m.tenant and d.holder_id = m.account_id "
        "and d.what = 'account_closure' and d.decided_by is not null) as decided_at "
        "from membership m "
        "left join session s on s.tenant = m.tenant and s.account_id = m.account_id and s.kind = 'user' "
        "left join proposal p on p.tenant = m.tenant and p.holder_id = m.account_id and p.what = 'account_closure' "
        "and p.state = 'queued' where m.is_active "
        "group by m.tenant, m.account_id, m.made_at, m.last_here_at, p.id "
        "having p.id is not null or greatest(m.made_at, m.last_here_at, max(s.seen_at)) < %(before)s "
        "order by last_at limit 1000",
        {"before": before},
    )


async def addresses(connection: Connection, holder_id: UUID, *, with_former: bool = False) -> list[Row]:
    """Accounts that a holder can be written to: the account itself, or those linked to the subject."""
    return await _all(
        connection,
        "select a.id, a.key, a.email_sealed from membership m join account a on a.id = m.account_id "
        "where m.account_id = %(id)s and (m.is_active or %(with_former)s) "
        "union select a.id, a.key, a.email_sealed from subject_account l join account a on a.id = l.account_id "
        "where l.subject_id in (select subject_kin(%(id)s))",
        {"id": holder_id, "with_former": with_former},
    )
