"""All SQL of published notices. Platform-wide: a notice belongs to the deployment, not to one organisation."""

from __future__ import annotations

from datetime import date

from troth.kit.db import Connection, Row
from troth.notice.version import NoticeVersion

_COLUMNS = """
    id, notice, number, effective_on, source, sha256, signature, published_at, published_by, second_person,
    is_founding
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
                                    published_at, published_by, second_person, is_founding)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
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


async def effective(connection: Connection, audience: str, on: date) -> Row | None:
    """The version in force for an audience.

    Args:
        connection: In a transaction.
        audience: `patients`, `users` or `visitors`.
        on: The day that is asked about.
    """
    found = await connection.execute(
        f"""
        select {_COLUMNS} from notice_version
        where effective_on <= %s and %s = any(audiences)
        order by effective_on desc, number desc, notice
        limit 1
        """,  # noqa: S608 - constant columns
        (on, audience),
    )
    return await found.fetchone()
