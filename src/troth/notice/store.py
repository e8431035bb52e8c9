"""All SQL of published notices. Platform-wide: a notice belongs to the deployment, not to one organisation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.notice.version import NoticeVersion

_COLUMNS = """
    id, notice, number, effective_on, source, sha256, signature, published_at, published_by, second_person,
    is_founding, is_material
"""


async def lock(connection: Connection, name: str) -> None:
    """Let nobody else publish this notice until the transaction ends.

    Args:
        connection: In a transaction.
        name: Short name of the notice.
    """
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('notice:' || %s, 0))", (name,))


async def add(connection: Connection, version: NoticeVersion) -> None:
    """Keep a version.

    Args:
        connection: In a transaction.
        version: What was published.
    """
    await connection.execute(
        """
        insert into notice_version (id, notice, number, effective_on, audiences, source, sha256, signature,
                                    published_at, published_by, second_person, is_founding, is_material)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            version.id,
            version.name,
            version.number,
            version.effective_on,
            list(version.notice.audiences),
            version.notice.source,
            version.sha256,
            version.signature,
            version.published_at,
            version.published_by,
            version.second_person,
            version.is_founding,
            version.is_material,
        ),
    )


async def all_of(connection: Connection, name: str | None = None) -> list[Row]:
    """All versions, newest first.

    Args:
        connection: In a transaction.
        name: Of one notice only.
    """
    found = await connection.execute(
        f"""
        select {_COLUMNS} from notice_version
        where %(name)s::text is null or notice = %(name)s
        order by number desc, notice
        """,  # noqa: S608 - constant columns
        {"name": name},
    )
    return await found.fetchall()


async def by_ids(connection: Connection, version_ids: Sequence[UUID]) -> list[Row]:
    """Versions by their ids.

    Args:
        connection: In a transaction.
        version_ids: Their ids.
    """
    found = await connection.execute(
        f"select {_COLUMNS} from notice_version where id = any(%s)",  # noqa: S608 - constant columns
        (list(version_ids),),
    )
    return await found.fetchall()


async def catalogue(connection: Connection, until: date) -> list[Row]:
    """Id, name, number and day of every version that counts by a day, newest first; without their text.

    Args:
        connection: In a transaction.
        until: The last day that is asked about.
    """
    found = await connection.execute(
        "select id, notice, number, effective_on from notice_version where effective_on <= %s"
        " order by effective_on desc, number desc, notice",
        (until,),
    )
    return await found.fetchall()


async def changes(connection: Connection) -> list[UUID]:
    """Ids of the versions that are not the first of their notice, oldest first.

    Args:
        connection: In a transaction.
    """
    found = await connection.execute("select id from notice_version where not is_founding order by published_at, id")
    return [row["id"] for row in await found.fetchall()]


_PROPOSAL = """
    id, notice, number, effective_on, source, sha256, is_material, proposed_by, proposed_at, state, decided_by,
    decided_at, version_id
"""


async def add_proposal(connection: Connection, values: dict[str, Any]) -> None:
    """Keep a proposal.

    Args:
        connection: In a transaction.
        values: Columns.
    """
    await connection.execute(
        "insert into notice_proposal (id, notice, number, effective_on, source, sha256, is_material, proposed_by,"
        " proposed_at) values (%(id)s, %(notice)s, %(number)s, %(effective_on)s, %(source)s, %(sha256)s,"
        " %(is_material)s, %(proposed_by)s, %(proposed_at)s)",
        values,
    )


async def proposals(connection: Connection, proposal_id: UUID | None = None, *, lock: bool = False) -> list[Row]:
    """Proposals, newest first.

    Args:
        connection: In a transaction.
        proposal_id: This one only.
        lock: Let nobody else decide on it until the transaction ends.
    """
    found = await connection.execute(
        f"""
        select {_PROPOSAL} from notice_proposal
        where %(id)s::uuid is null or id = %(id)s
        order by proposed_at desc, id {"for update" if lock else ""}
        """,  # noqa: S608 - constant columns
        {"id": proposal_id},
    )
    return await found.fetchall()


async def open_proposal(connection: Connection, name: str) -> UUID | None:
    """The proposal of a notice that waits for a second person, if there is one.

    Args:
        connection: In a transaction.
        name: Short name of the notice.
    """
    found = await connection.execute("select id from notice_proposal where notice = %s and state = 'open'", (name,))
    row = await found.fetchone()
    return row["id"] if row else None


async def decide_proposal(
    connection: Connection, proposal_id: UUID, state: str, by: UUID | None, at: datetime, version_id: UUID | None
) -> None:
    """Write down how a proposal ended.

    Args:
        connection: In a transaction.
        proposal_id: Which one.
        state: `agreed` or `withdrawn`.
        by: Who decided.
        at: When.
        version_id: What was published.
    """
    await connection.execute(
        "update notice_proposal set state = %s, decided_by = %s, decided_at = %s, version_id = %s where id = %s",
        (state, by, at, version_id, proposal_id),
    )
