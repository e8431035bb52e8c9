"""SQL of corrections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from troth.archive.model import Row
from troth.kit.db import Connection


@dataclass(frozen=True, slots=True)
class Swap:
    """One instance with its new objects.

    Attributes:
        head_before: Where its head lay: the swap holds for that one only.
        length_change: Bytes more than before.
        old: Where the objects lie that it does not need any more.
        new: Where those lie that were written for it.
    """

    instance_id: UUID
    head_before: bytes = field(repr=False)
    head_locator: bytes = field(repr=False)
    head_bytes: int
    bulk_locator: bytes | None = field(repr=False)
    bulk_bytes: int
    sealed: bytes = field(repr=False)
    length_change: int
    old: tuple[bytes, ...] = field(repr=False)
    new: tuple[bytes, ...] = field(repr=False)


async def swap(connection: Connection, tenant: UUID, swaps: Iterable[Swap]) -> int:
    """Give instances their new objects; how many had the heads they were made from."""
    listed = list(swaps)
    cursor = await connection.execute(
        "update instance i set head_locator = n.head, head_bytes = n.head_bytes, bulk_locator = n.bulk,"
        " bulk_bytes = n.bulk_bytes, sealed = n.sealed"
        " from unnest(%s::uuid[], %s::bytea[], %s::bytea[], %s::bigint[], %s::bytea[], %s::bigint[], %s::bytea[])"
        " as n(id, head_before, head, head_bytes, bulk, bulk_bytes, sealed)"
        " where i.tenant = %s and i.id = n.id and i.head_locator = n.head_before",
        (
            [one.instance_id for one in listed],
            [one.head_before for one in listed],
            [one.head_locator for one in listed],
            [one.head_bytes for one in listed],
            [one.bulk_locator for one in listed],
            [one.bulk_bytes for one in listed],
            [one.sealed for one in listed],
            tenant,
        ),
    )
    return cursor.rowcount


async def put_study(connection: Connection, tenant: UUID, study_id: UUID, values: Mapping[str, Any]) -> None:
    """Write what a study says now, what stands for what comes later, and that there was one correction more."""
    await connection.execute(
        "update study set sealed = %(sealed)s, standing_sealed = %(standing_sealed)s, study_date = %(study_date)s,"
        " corrected_key_token = %(corrected_key_token)s, patient_id_token = %(patient_id_token)s,"
        " accession_token = %(accession_token)s, birth_token = %(birth_token)s, corrections = corrections + 1,"
        " length_bytes = length_bytes + %(length_change)s, changed_at = %(at)s"
        " where tenant = %(tenant)s and id = %(id)s",
        {**values, "tenant": tenant, "id": study_id},
    )


async def put_tokens(
    connection: Connection, tenant: UUID, study_id: UUID, study_date: date, tokens: Sequence[int]
) -> None:
    """Write by which tokens a study is found, in place of all it was found by."""
    await connection.execute("delete from study_token where tenant = %s and study_id = %s", (tenant, study_id))
    await connection.execute(
        "insert into study_token (tenant, token, study_date, study_id)"
        " select %s, token, %s, %s from unnest(%s::int8[]) as token on conflict do nothing",
        (tenant, study_date, study_id, list(tokens)),
    )


async def forget_described(connection: Connection, tenant: UUID, study_id: UUID) -> None:
    """Take away what was kept ready-made of a study: it says what was there before."""
    await connection.execute(
        "delete from series_metadata where tenant = %s"
        " and series_id in (select id from series where tenant = %s and study_id = %s)",
        (tenant, tenant, study_id),
    )


async def insert(connection: Connection, tenant: UUID, values: Mapping[str, Any]) -> None:
    """Remember a correction, and where the bytes lie whose room is to be given back."""
    await connection.execute(
        "insert into correction (tenant, id, study_id, made_at, instances, sealed, locators) values"
        " (%(tenant)s, %(id)s, %(study_id)s, %(made_at)s, %(instances)s, %(sealed)s, %(locators)s)",
        {**values, "tenant": tenant},
    )


async def unreleased(connection: Connection, tenant: UUID) -> list[Row]:
    """Corrections whose old bytes still have room."""
    cursor = await connection.execute(
        "select id, locators from correction where tenant = %s and locators <> '{}'", (tenant,)
    )
    return list(await cursor.fetchall())


async def released(connection: Connection, tenant: UUID, correction_id: UUID) -> None:
    """The room of the old bytes was given back."""
    await connection.execute(
        "update correction set locators = '{}' where tenant = %s and id = %s", (tenant, correction_id)
    )


async def of_study(connection: Connection, tenant: UUID, study_id: UUID) -> list[Row]:
    """Corrections of a study, the newest first."""
    cursor = await connection.execute(
        "select id, made_at, instances, sealed from correction where tenant = %s and study_id = %s"
        " order by made_at desc, id desc",
        (tenant, study_id),
    )
    return list(await cursor.fetchall())


async def remove(connection: Connection, tenant: UUID, study_id: UUID) -> list[bytes]:
    """Take away the corrections of a study; where the bytes lie whose room was not given back yet."""
    cursor = await connection.execute(
        "delete from correction where tenant = %s and study_id = %s returning locators", (tenant, study_id)
    )
    return [locator for row in await cursor.fetchall() for locator in row["locators"]]
