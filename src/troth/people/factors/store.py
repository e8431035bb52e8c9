"""All SQL of second factors; every statement runs in the scope of one organisation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from troth.kit.db import Connection, Row


async def _one(connection: Connection, statement: str, *values: Any) -> Row | None:
    return await (await connection.execute(statement.encode(), values)).fetchone()


async def _all(connection: Connection, statement: str, *values: Any) -> list[Row]:
    return await (await connection.execute(statement.encode(), values)).fetchall()


# Challenges


async def put_challenge(connection: Connection, values: dict[str, Any]) -> None:
    """Keep a challenge; of one session there is one, whose tries go on being counted while it lives."""
    await connection.execute(
        b"insert into challenge as c (tenant, digest, account_id, kind, subject_id, session_id, proof, made_at,"
        b" expires_at) values (%(tenant)s, %(digest)s, %(account_id)s, %(kind)s, %(subject_id)s, %(session_id)s,"
        b" %(proof)s, %(made_at)s, %(expires_at)s) on conflict (tenant, digest) do update set"
        b" tries = case when c.expires_at <= excluded.made_at then 0 else c.tries end,"
        b" expires_at = greatest(c.expires_at, excluded.expires_at)",
        values,
    )


async def challenge(connection: Connection, digest: bytes, now: datetime) -> Row | None:
    """A challenge that is alive, with the account's key, held until the transaction ends."""
    return await _one(
        connection,
        "select c.tenant, c.digest, c.account_id, c.kind, c.subject_id, c.session_id, c.proof, c.tries, c.nonce,"
        " c.secret_sealed, a.key as account_key from challenge c join account a on a.id = c.account_id"
        " where c.digest = %s and c.expires_at > %s for update of c",
        digest, now,
    )  # fmt: skip


async def count_try(connection: Connection, digest: bytes) -> int:
    """Count one wrong try; how many there were."""
    row = await _one(connection, "update challenge set tries = tries + 1 where digest = %s returning tries", digest)
    return int(row["tries"]) if row else 0


async def put_nonce(connection: Connection, digest: bytes, nonce: bytes | None) -> None:
    """Keep what a browser is asked to sign; None when it was answered, so that it counts once."""
    await connection.execute("update challenge set nonce = %s where digest = %s", (nonce, digest))


async def put_secret(connection: Connection, digest: bytes, sealed: bytes) -> None:
    """Keep the key that an app for codes is about to have."""
    await connection.execute("update challenge set secret_sealed = %s where digest = %s", (sealed, digest))


async def delete_challenge(connection: Connection, digest: bytes) -> None:
    """End a challenge."""
    await connection.execute("delete from challenge where digest = %s", (digest,))


# Factors


async def factors(connection: Connection, account_id: UUID, kind: str) -> list[Row]:
    """The factors of an account, oldest first."""
    return await _all(
        connection,
        "select f.tenant, f.id, f.form, f.sealed, f.last_step, f.made_at, f.used_at, a.key as account_key"
        " from factor f join account a on a.id = f.account_id where f.account_id = %s and f.kind = %s"
        " order by f.made_at, f.id",
        account_id, kind,
    )  # fmt: skip


async def accounts_with_factors(connection: Connection, kind: str) -> list[Row]:
    """The accounts of the organisation that have factors, and of which forms."""
    return await _all(
        connection,
        "select account_id, array_agg(distinct form) as forms from factor where kind = %s group by account_id",
        kind,
    )


async def insert_factor(connection: Connection, values: dict[str, Any]) -> None:
    """Add a factor."""
    await connection.execute(
        b"insert into factor (tenant, id, account_id, kind, form, sealed, last_step, made_at, used_at) values"
        b" (%(tenant)s, %(id)s, %(account_id)s, %(kind)s, %(form)s, %(sealed)s, %(last_step)s, %(made_at)s,"
        b" %(made_at)s)",
        values,
    )


async def use_factor(connection: Connection, factor_id: UUID, step: int, now: datetime) -> bool:
    """Take a code or signature whose step or counter lies after the last; False when it was used already.

    A counter of 0 says that the device counts nothing.
    """
    cursor = await connection.execute(
        "update factor set last_step = %(step)s, used_at = %(now)s where id = %(id)s"
        " and (last_step < %(step)s or (%(step)s = 0 and last_step = 0))",
        {"id": factor_id, "step": step, "now": now},
    )
    return cursor.rowcount == 1


async def delete_factor(connection: Connection, account_id: UUID, kind: str, factor_id: UUID) -> bool:
    """Take one factor away."""
    cursor = await connection.execute(
        "delete from factor where id = %s and account_id = %s and kind = %s", (factor_id, account_id, kind)
    )
    return cursor.rowcount == 1


async def delete_factors(connection: Connection, account_id: UUID, kind: str) -> int:
    """Take all factors and recovery codes of an account away; how many factors."""
    gone = await connection.execute("delete from factor where account_id = %s and kind = %s", (account_id, kind))
    await connection.execute("delete from recovery_code where account_id = %s and kind = %s", (account_id, kind))
    await connection.execute("delete from challenge where account_id = %s and kind = %s", (account_id, kind))
    return gone.rowcount


# Recovery codes


async def put_codes(connection: Connection, tenant: UUID, account_id: UUID, kind: str, digests: Sequence[bytes],
                    now: datetime) -> None:  # fmt: skip
    """Keep the digests of new recovery codes; the old ones end."""
    await connection.execute("delete from recovery_code where account_id = %s and kind = %s", (account_id, kind))
    await connection.execute(
        "insert into recovery_code (tenant, account_id, kind, digest, made_at)"
        " select %s, %s, %s, d, %s from unnest(%s::bytea[]) d",
        (tenant, account_id, kind, now, list(digests)),
    )


async def codes_left(connection: Connection, account_id: UUID, kind: str) -> int:
    """How many recovery codes can still be used."""
    row = await _one(
        connection, "select count(*) as n from recovery_code where account_id = %s and kind = %s", account_id, kind
    )
    return int(row["n"]) if row else 0


async def use_code(connection: Connection, account_id: UUID, kind: str, digest: bytes) -> bool:
    """Use a recovery code up; False when there is none such."""
    cursor = await connection.execute(
        "delete from recovery_code where account_id = %s and kind = %s and digest = %s", (account_id, kind, digest)
    )
    return cursor.rowcount == 1


# Resets


async def open_reset(connection: Connection, values: dict[str, Any]) -> bool:
    """Ask for a reset; False when one waits already."""
    cursor = await connection.execute(
        b"insert into factor_reset (tenant, id, account_id, asked_by, asked_at, expires_at) values"
        b" (%(tenant)s, %(id)s, %(account_id)s, %(asked_by)s, %(asked_at)s, %(expires_at)s)"
        b" on conflict (tenant, account_id) do update set id = excluded.id, asked_by = excluded.asked_by,"
        b" asked_at = excluded.asked_at, expires_at = excluded.expires_at"
        b" where factor_reset.expires_at <= excluded.asked_at",
        values,
    )
    return cursor.rowcount == 1


async def resets(connection: Connection, now: datetime) -> list[Row]:
    """What was asked and waits for a second person, oldest first."""
    return await _all(
        connection,
        "select id, account_id, asked_by, asked_at from factor_reset where expires_at > %s order by asked_at",
        now,
    )


async def take_reset(connection: Connection, reset_id: UUID, now: datetime) -> Row | None:
    """Take a waiting reset out of the list, to carry it out or drop it."""
    return await _one(
        connection,
        "delete from factor_reset where id = %s and expires_at > %s returning id, account_id, asked_by, asked_at",
        reset_id, now,
    )  # fmt: skip


# Fresh sign-ins


async def fresh_at(connection: Connection, session_id: UUID) -> datetime | None:
    """When whoever has a session last proved who they are."""
    row = await _one(connection, "select fresh_at from session where id = %s", session_id)
    return row["fresh_at"] if row else None


async def renew_session(connection: Connection, session_id: UUID, digest: bytes, now: datetime) -> Row | None:
    """Give a living session a new secret, fresh from now (ASVS 7.2.4)."""
    return await _one(
        connection,
        "update session set digest = %s, fresh_at = %s, seen_at = %s where id = %s and ended_at is null"
        " and expires_at > %s returning expires_at",
        digest, now, now, session_id, now,
    )  # fmt: skip


# Drafts


async def session_that_was(connection: Connection, digest: bytes, since: datetime) -> Row | None:
    """Whose session a secret is or was, where nobody ended it and it was used since an instant."""
    return await _one(
        connection,
        "select s.account_id, s.subject_id, a.key as account_key from session s join account a on a.id = s.account_id"
        " where s.digest = %s and s.form = 'browser' and s.ended_at is null and s.seen_at + s.idle > %s",
        digest, since,
    )  # fmt: skip


async def put_draft(connection: Connection, values: dict[str, Any]) -> None:
    """Keep a draft in the place of the one before."""
    await connection.execute(
        b"insert into draft (tenant, account_id, holder_id, sealed, made_at, expires_at) values (%(tenant)s,"
        b" %(account_id)s, %(holder_id)s, %(sealed)s, %(made_at)s, %(expires_at)s)"
        b" on conflict (tenant, account_id, holder_id) do update set sealed = excluded.sealed,"
        b" made_at = excluded.made_at, expires_at = excluded.expires_at",
        values,
    )


async def draft(connection: Connection, account_id: UUID, holder_id: UUID, now: datetime) -> Row | None:
    """What is kept for somebody."""
    return await _one(
        connection,
        "select sealed from draft where account_id = %s and holder_id = %s and expires_at > %s",
        account_id, holder_id, now,
    )  # fmt: skip


async def delete_draft(connection: Connection, account_id: UUID | None, holder_id: UUID | None) -> None:
    """Take it away."""
    await connection.execute("delete from draft where account_id = %s and holder_id = %s", (account_id, holder_id))
