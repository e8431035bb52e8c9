"""All SQL of the room. Platform tables first, then what lies behind row-level security.

Statements on tenant tables name the tenant only where a row is written; for reading, the transaction's scope is the
filter, and tests show that it is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.people import trust

_ALIVE = "s.ended_at is null and s.expires_at > %(now)s and (s.idle is null or s.seen_at + s.idle > %(now)s)"

# One statement: touches at most once a minute, and answers with everything that an Actor holds. A session without
# account is a bearer token; else its membership or its match must still be there.
RESOLVE = f"""
with touched as (
    update session s set seen_at = %(now)s
    where s.digest = %(digest)s and s.seen_at <= %(now)s - %(every)s and s.idle is not null and {_ALIVE}
)
select s.id, s.kind, s.account_id, s.subject_id, s.purpose, s.expires_at, o.name as organisation,
       coalesce(j.surviving_id, s.subject_id) as surviving_id,
       coalesce(m.role, s.role) as role, m.name_sealed, a.key as account_key,
       b.demographics_sealed, b.key as subject_key, a.zone, {trust.OF_SESSION}
from session s
join organisation o on o.id = s.tenant
left join account a on a.id = s.account_id
left join membership m on m.tenant = s.tenant and m.account_id = s.account_id and m.is_active and s.kind = 'user'
left join subject_account l on l.tenant = s.tenant and l.subject_id = s.subject_id and l.account_id = s.account_id
left join subject b on b.tenant = s.tenant and b.id = l.subject_id
left join subject_merge j on j.tenant = s.tenant and j.subject_id = s.subject_id and j.ended_at is null
where s.digest = %(digest)s and s.form = %(form)s and {_ALIVE}
  and (s.account_id is null or m.account_id is not null or l.account_id is not null)
"""  # noqa: S608 - joined from constants

RESOLVE_VIEWER = RESOLVE.replace("s.digest =", "s.viewer_digest =")

FACTS = f"""
select s.id, s.kind, s.account_id, coalesce(j.surviving_id, s.subject_id) as subject_id,
       coalesce(m.role, s.role) as role, {_ALIVE} as is_alive,
       s.account_id is null or m.account_id is not null or l.account_id is not null as belongs, o.operates,
       o.level, {trust.OF_SESSION}, {trust.OF_ORGANISATION}
from session s
join organisation o on o.id = s.tenant
left join membership m on m.tenant = s.tenant and m.account_id = s.account_id and m.is_active and s.kind = 'user'
left join subject_account l on l.tenant = s.tenant and l.subject_id = s.subject_id and l.account_id = s.account_id
left join subject_merge j on j.tenant = s.tenant and j.subject_id = s.subject_id and j.ended_at is null
where s.id = %(id)s
"""  # noqa: S608


_LIVING = f"""
select s.id, s.account_id, s.subject_id, s.kind, s.role, s.purpose, s.proof, s.made_at, s.seen_at, s.expires_at
from session s
where s.form = %(form)s and {_ALIVE} and (%(account)s::uuid is null or s.account_id = %(account)s)
  and (%(kind)s::text is null or s.kind = %(kind)s)
order by s.made_at desc
"""  # noqa: S608


async def _one(connection: Connection, statement: str, values: dict[str, Any]) -> Row | None:
    return await (await connection.execute(statement.encode(), values)).fetchone()


async def _all(connection: Connection, statement: str, values: dict[str, Any]) -> list[Row]:
    return await (await connection.execute(statement.encode(), values)).fetchall()


async def _insert(connection: Connection, table: str, values: dict[str, Any], tail: str = "") -> bool:
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    statement = f"insert into {table} ({columns}) values ({places}) {tail}"  # noqa: S608 - names are ours
    return (await connection.execute(statement.encode(), values)).rowcount == 1


# Organisations and the platform's key


async def insert_organisation(connection: Connection, values: dict[str, Any]) -> bool:
    """Add an organisation; False when its name is taken, or another one runs the service as it would."""
    return await _insert(connection, "organisation", values, "on conflict do nothing")


async def organisations(
    connection: Connection, *, organisation_id: UUID | None = None, name: str | None = None
) -> list[Row]:
    """Organisations, controllers first, by name; all, or the one of an id or a name."""
    return await _all(
        connection,
        "select id, name, capacity, region, key, operates from organisation "
        "where (%(id)s::uuid is null or id = %(id)s) and (%(name)s::text is null or name = %(name)s) "
        "order by capacity, name",
        {"id": organisation_id, "name": name},
    )


async def level(connection: Connection, organisation_id: UUID) -> str | None:
    """The level of service of an organisation."""
    row = await _one(connection, "select level from organisation where id = %(id)s", {"id": organisation_id})
    return str(row["level"]) if row else None


async def set_level(connection: Connection, organisation_id: UUID, level: str) -> bool:
    """Give an organisation another level of service; False where it has it already."""
    cursor = await connection.execute(
        "update organisation set level = %s where id = %s and level <> %s", (level, organisation_id, level)
    )
    return cursor.rowcount == 1


async def platform_key(connection: Connection) -> bytes | None:
    """The reference to the platform's key, once there is one."""
    row = await _one(connection, "select key from platform_key", {})
    return bytes(row["key"]) if row else None


async def insert_platform_key(connection: Connection, key: bytes) -> bool:
    """Keep the platform's key; False when there is one already."""
    return await _insert(connection, "platform_key", {"key": key}, "on conflict do nothing")


# Accounts, standings, sign-in links, attempts


async def account_by_email(connection: Connection, email_token: int) -> Row | None:
    """The account of an e-mail token."""
    return await _one(
        connection,
        f"select id, key, closed_at, {trust.OF_ACCOUNT} from account where email_token = %(token)s",  # noqa: S608
        {"token": email_token},
    )


async def account(connection: Connection, account_id: UUID) -> Row | None:
    """An account by id."""
    return await _one(connection, "select id, key, email_sealed from account where id = %(id)s", {"id": account_id})


async def set_zone(connection: Connection, account_id: UUID, zone: str) -> None:
    """Read an account's times by the clocks of a place; empty for those of the notice."""
    await connection.execute("update account set zone = %s where id = %s", (zone, account_id))


async def holders(connection: Connection, kinds: list[str]) -> list[Row]:
    """Accounts with a standing of some kinds, and which kinds each has."""
    return await _all(
        connection,
        "select account_id, array_agg(distinct kind) as kinds from standing where kind = any(%(kinds)s)"
        " group by account_id order by account_id",
        {"kinds": kinds},
    )


async def insert_account(connection: Connection, values: dict[str, Any]) -> bool:
    """Add an account; False when the address has one."""
    return await _insert(connection, "account", values, "on conflict (email_token) do nothing")


async def insert_standing(connection: Connection, values: dict[str, Any]) -> None:
    """Note where an account can stand."""
    await _insert(connection, "standing", values, "on conflict do nothing")


async def delete_standing(connection: Connection, account_id: UUID, organisation_id: UUID, kind: str) -> None:
    """Take a standing away."""
    await connection.execute(
        "delete from standing where account_id = %s and organisation_id = %s and kind = %s",
        (account_id, organisation_id, kind),
    )


async def standings(connection: Connection, account_id: UUID, organisation_id: UUID | None = None) -> list[Row]:
    """Where an account can stand, staff before patient, oldest first."""
    return await _all(
        connection,
        "select t.account_id, t.organisation_id, o.name as organisation, t.kind "
        "from standing t join organisation o on o.id = t.organisation_id where t.account_id = %(account)s "
        "and (%(organisation)s::uuid is null or t.organisation_id = %(organisation)s) "
        "order by t.kind = 'user' desc, t.made_at",
        {"account": account_id, "organisation": organisation_id},
    )


async def insert_sign_in_link(connection: Connection, values: dict[str, Any]) -> None:
    """Keep the digest of a sign-in link."""
    await _insert(connection, "sign_in_link", values)


async def sign_in_link(connection: Connection, digest: bytes, now: datetime) -> Row | None:
    """A link that can still be used."""
    statement = (
        "select account_id, organisation_id, expires_at, tag from sign_in_link where digest = %(digest)s"
        " and used_at is null and expires_at > %(now)s"
    )
    return await _one(connection, statement, {"digest": digest, "now": now})


async def use_sign_in_link(connection: Connection, digest: bytes, now: datetime) -> Row | None:
    """Use a link up; None when it is over."""
    return await _one(
        connection,
        "update sign_in_link set used_at = %(now)s where digest = %(digest)s and used_at is null "
        "and expires_at > %(now)s returning account_id, organisation_id",
        {"digest": digest, "now": now},
    )


# Peers


async def registered_peer(connection: Connection, peer_id: UUID, organisation_id: UUID) -> Row | None:
    """A peer with the level of service of its organisation; None where the peer is not registered now."""
    return await _one(
        connection,
        "select p.id, o.level, "  # noqa: S608 - words of ours
        + trust.OF_PEER
        + " from peer p join organisation o on o.id = p.organisation_id"
        " where p.id = %(id)s and p.organisation_id = %(organisation)s",
        {"id": peer_id, "organisation": organisation_id},
    )


async def delete_peer(connection: Connection, peer_id: UUID, organisation_id: UUID) -> bool:
    """Take a peer out of use."""
    cursor = await connection.execute(
        "delete from peer where id = %s and organisation_id = %s", (peer_id, organisation_id)
    )
    return cursor.rowcount == 1


# Memberships


async def upsert_membership(connection: Connection, values: dict[str, Any]) -> bool:
    """Make an account a member, or an ended membership active again; False when it is active already."""
    return await _insert(
        connection,
        "membership as m",
        values,
        "on conflict (tenant, account_id) do update set role = excluded.role, name_sealed = excluded.name_sealed, "
        "is_active = true where not m.is_active",
    )


async def memberships(connection: Connection, account_id: UUID | None = None) -> list[Row]:
    """The members of the scope's organisation with their accounts; all, or one."""
    return await _all(
        connection,
        "select m.tenant, m.account_id, m.role, m.is_active, m.name_sealed, a.key, a.email_sealed, a.zone "
        "from membership m left join account a on a.id = m.account_id "
        "where (%(account)s::uuid is null or m.account_id = %(account)s) order by m.made_at",
        {"account": account_id},
    )


async def last_here(connection: Connection) -> list[Row]:
    """When each member of the scope's organisation was here last; sessions that were swept are counted too."""
    return await _all(
        connection,
        "select m.account_id, greatest(m.last_here_at, max(s.seen_at)) as at from membership m left join session s"
        " on s.account_id = m.account_id and s.kind = 'user' group by m.account_id, m.last_here_at",
        {},
    )


async def set_role(connection: Connection, account_id: UUID, role: str) -> str | None:
    """Give a member another role.

    Returns:
        The role before; None where there is no active member.
    """
    row = await _one(
        connection,
        "update membership m set role = %(role)s from (select tenant, account_id, role from membership"
        " where account_id = %(account)s and is_active for update) b where m.tenant = b.tenant"
        " and m.account_id = b.account_id returning b.role",
        {"account": account_id, "role": role},
    )
    return str(row["role"]) if row else None


async def end_membership(connection: Connection, account_id: UUID) -> bool:
    """End a membership, with what its member was assigned to; False when there is no active one."""
    cursor = await connection.execute(
        "update membership set is_active = false where account_id = %s and is_active", (account_id,)
    )
    await connection.execute(
        "update assignment set ended_at = now() where account_id = %s and ended_at is null", (account_id,)
    )
    return cursor.rowcount == 1


# Sessions and bearer tokens


async def insert_session(connection: Connection, values: dict[str, Any]) -> None:
    """Begin a session or a bearer token."""
    await _insert(connection, "session", values)


async def resolve_session(
    connection: Connection, digest: bytes, form: str, now: datetime, every: timedelta
) -> Row | None:
    """Who stands behind a secret, if it is alive and its standing too."""
    values = {"digest": digest, "form": "browser" if form == "viewer" else form, "now": now, "every": every}
    return await _one(connection, RESOLVE_VIEWER if form == "viewer" else RESOLVE, values)


async def enter_viewer(
    connection: Connection, session_id: UUID, digest: bytes, issued: int, now: datetime
) -> Row | None:
    """Give the viewer of a living session a secret; None when it is over, or what was issued then was used."""
    statement = (
        "update session s set viewer_digest = %(digest)s, viewer_issued = %(issued)s where s.id = %(id)s"  # noqa: S608
        f" and s.form = 'browser' and (s.viewer_issued is null or s.viewer_issued < %(issued)s) and {_ALIVE}"
        " returning s.expires_at"
    )
    return await _one(connection, statement, {"id": session_id, "digest": digest, "issued": issued, "now": now})


async def facts_of_session(connection: Connection, session_id: UUID, now: datetime) -> Row | None:
    """Whether a session lives and its standing too."""
    return await _one(connection, FACTS, {"id": session_id, "now": now})


async def is_reader(connection: Connection, holder_id: UUID) -> bool:
    """Whether a member of the organisation or one of its subjects still has this id: somebody who may be written to."""
    statement = (
        "select exists (select from membership where account_id = %(id)s and is_active) "
        "or exists (select from subject where id = %(id)s) as is_reader"
    )
    row = await _one(connection, statement, {"id": holder_id})
    return bool(row and row["is_reader"])


async def living(
    connection: Connection, now: datetime, form: str, *, account_id: UUID | None = None, kind: str | None = None
) -> list[Row]:
    """Sessions or bearer tokens that have not ended, newest first; all, those of an account, or of a kind."""
    return await _all(
        connection,
        _LIVING,
        {"now": now, "form": form, "account": account_id, "kind": kind},
    )


async def form_of_session(connection: Connection, session_id: UUID) -> str:
    """Whether it is a `browser` session or a `bearer` token; empty where it is neither."""
    row = await _one(connection, "select form from session where id = %(id)s", {"id": session_id})
    return str(row["form"]) if row else ""


async def end_sessions(
    connection: Connection,
    now: datetime,
    *,
    session_id: UUID | None = None,
    account_id: UUID | None = None,
    kind: str | None = None,
) -> list[UUID]:
    """End one session, or those of an account.

    Returns:
        Those that lived until now.
    """
    rows = await _all(
        connection,
        "update session set ended_at = %(now)s where (id = %(session)s or account_id = %(account)s) "
        "and (%(kind)s::text is null or kind = %(kind)s) and ended_at is null returning id",
        {"now": now, "session": session_id, "account": account_id, "kind": kind},
    )
    return [row["id"] for row in rows]


# Subjects


async def insert_subject(connection: Connection, values: dict[str, Any]) -> bool:
    """Add a subject; False when the identifier has one."""
    return await _insert(connection, "subject", values, "on conflict (tenant, patient_token, issuer_token) do nothing")


async def subject_by_tokens(connection: Connection, patient_token: int, issuer_token: int) -> Row | None:
    """The subject of an identifier."""
    return await _one(
        connection,
        "select tenant, id, key, audit_key, demographics_sealed from subject "
        "where patient_token = %(patient)s and issuer_token = %(issuer)s",
        {"patient": patient_token, "issuer": issuer_token},
    )


async def subject(connection: Connection, subject_id: UUID) -> Row | None:
    """A subject by id."""
    return await _one(
        connection,
        "select tenant, id, key, audit_key, demographics_sealed from subject where id = %(id)s",
        {"id": subject_id},
    )


async def put_demographics(connection: Connection, subject_id: UUID, sealed: bytes) -> None:
    """Write who a subject is, anew."""
    await connection.execute(
        "update subject set demographics_sealed = %s, likeness_token = null where id = %s", (sealed, subject_id)
    )


async def link_subject(connection: Connection, values: dict[str, Any]) -> None:
    """Link an account to a subject."""
    await _insert(connection, "subject_account", values, "on conflict do nothing")


async def accounts_of_subject(connection: Connection, subject_id: UUID) -> list[Row]:
    """The accounts that are linked to a subject, or to one that is merged with it, oldest link first."""
    return await _all(
        connection,
        "select a.id, a.key, a.email_sealed, a.zone, l.matched_at from subject_account l"
        " join account a on a.id = l.account_id where l.subject_id in (select subject_kin(%(subject)s))"
        " order by l.matched_at",
        {"subject": subject_id},
    )


async def subjects_of_account(connection: Connection, account_id: UUID) -> list[UUID]:
    """The subjects that an account is matched with in the scope's organisation, newest match first."""
    rows = await _all(
        connection,
        "select subject_id from subject_account where account_id = %(account)s order by matched_at desc",
        {"account": account_id},
    )
    return [row["subject_id"] for row in rows]


# Erasing a person


async def end_sessions_of_subjects(connection: Connection, subject_ids: Sequence[UUID], now: datetime) -> int:
    """End the sessions in which somebody stands as one of these subjects; how many lived."""
    cursor = await connection.execute(
        "update session set ended_at = %s where subject_id = any(%s) and ended_at is null", (now, list(subject_ids))
    )
    return cursor.rowcount


async def delete_subjects(connection: Connection, subject_ids: Sequence[UUID]) -> int:
    """Take subjects away, with their links, sessions, invitations and acceptances; how many there were."""
    return (await connection.execute("delete from subject where id = any(%s)", (list(subject_ids),))).rowcount


async def unlink_account(connection: Connection, account_id: UUID) -> list[UUID]:
    """Take the links of an account to subjects of the scope's organisation away; gives the subjects."""
    rows = await _all(
        connection,
        "delete from subject_account where account_id = %(account)s returning subject_id",
        {"account": account_id},
    )
    return [row["subject_id"] for row in rows]
