"""SQL of DICOM peers."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.people import trust

_COLUMNS: LiteralString = "id, organisation_id, ae, called_ae, host, address, port, certificate, purpose, over_tls"


async def insert(connection: Connection, values: dict[str, Any]) -> bool:
    """Register a peer; False when somebody registered one that calls in the same way."""
    cursor = await connection.execute(
        "insert into peer (id, organisation_id, ae, called_ae, host, address, port, certificate, purpose, over_tls,"
        " made_at) values (%(id)s, %(organisation_id)s, %(ae)s, %(called_ae)s, %(host)s, %(address)s, %(port)s,"
        " %(certificate)s, %(purpose)s, %(over_tls)s, %(made_at)s) on conflict do nothing",
        values,
    )
    return cursor.rowcount == 1


async def of_organisation(connection: Connection, organisation_id: UUID) -> list[Row]:
    """The peers of an organisation."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from peer where organisation_id = %s order by ae, address",  # noqa: S608
        (organisation_id,),
    )
    return list(await cursor.fetchall())


async def calling(connection: Connection, ae: str, called_ae: str, address: str, certificate: str) -> Row | None:
    """The peer that calls; one that names our AE title before one that does not.

    One that is registered with a certificate is known by it, from wherever it calls, and by nothing else.
    """
    cursor = await connection.execute(
        "select p.id, p.organisation_id, p.ae, p.purpose, o.name as organisation, "  # noqa: S608 - words of ours
        + trust.OF_PEER
        + " from peer p"
        " join organisation o on o.id = p.organisation_id where p.ae = %(ae)s and p.certificate = %(certificate)s"
        " and (p.certificate <> '' or p.address = %(address)s) and p.called_ae in (%(called_ae)s, '')"
        " order by p.called_ae = '' limit 1",
        {"ae": ae, "called_ae": called_ae, "address": address, "certificate": certificate},
    )
    return await cursor.fetchone()


async def by_id(connection: Connection, peer_id: UUID, organisation_id: UUID) -> Row | None:
    """A peer of an organisation, with the organisation's name."""
    cursor = await connection.execute(
        "select p.*, o.name as organisation, "  # noqa: S608 - words of ours
        + trust.OF_PEER
        + " from peer p join organisation o on o.id = p.organisation_id"
        " where p.id = %s and p.organisation_id = %s",
        (peer_id, organisation_id),
    )
    return await cursor.fetchone()


async def change(connection: Connection, peer_id: UUID, values: dict[str, Any]) -> bool:
    """Give a peer another address, certificate and id; False when another one calls in the same way already."""
    cursor = await connection.execute(
        "update peer p set id = %(id)s, host = %(host)s, address = %(address)s, port = %(port)s,"
        " certificate = %(certificate)s, over_tls = %(over_tls)s where p.id = %(before)s and not exists"
        " (select 1 from peer o where o.id <> p.id and o.ae = p.ae and o.called_ae = p.called_ae"
        " and o.certificate = %(certificate)s and (%(certificate)s <> '' or o.address = %(address)s))",
        {**values, "before": peer_id},
    )
    return cursor.rowcount == 1
