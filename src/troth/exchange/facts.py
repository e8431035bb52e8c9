"""What the decision asks of this room: which contracts, instruments and instructions hold, and where something goes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from uuid import UUID

from troth.exchange import rows, store
from troth.exchange.model import AGREEMENT, AGREEMENTS, PLATFORM, STRUCK_DOWN
from troth.kit import clock
from troth.kit.db import Connection, Database, Row, Space
from troth.ledger import Sealer
from troth.people import OrganisationNotFound, People
from troth.policy import Actor, Distrusted, FactSet, Instructed, Target, belief


class ExchangeFacts:
    """Implements `policy.Facts` for the registers. Read each time: what ended a moment ago has ended.

    Claims: `contract:<key>`; `agreement:dpa` and `agreement:baa` for the contract between the controller and us;
    `controller:<country>`; `instrument:<key>` and `instrument:<from>-<to>`; `instruction:<key>`. For a target that
    names a recipient, a category or an order: `recipient:<key>`, `contract:<recipient>`, `category:<key>`,
    `from:<country>`, `to:<country>`, `order_document`, `order_review`, `legal_order:<id>`. For totals of the platform's
    own making: `deidentified:<key>`.

    Args:
        db: Opened as `troth_app`.
        people: Knows where an organisation keeps its data.
        sealer: Computes the tags that rows must have; what is in a register without its own is not in it.
    """

    def __init__(self, db: Database, people: People, sealer: Sealer) -> None:
        self._db = db
        self._people = people
        self._sealer = sealer

    async def about(self, actor: Actor, target: Target) -> FactSet:
        """The facts that hold now.

        Args:
            actor: Who acts.
            target: What is acted on; a disclosure names `recipient` and `order` among its attributes.
        """
        tenant = target.tenant or actor.tenant
        if actor.kind == "anonymous" and tenant is None:
            return FactSet()
        async with self._db.transaction(Space(tenant or PLATFORM)) as connection:
            return await self.read(connection, actor, target)

    async def read(self, connection: Connection, actor: Actor, target: Target) -> FactSet:
        """The same over a connection at hand, in the space that the decision is about."""
        named, tenant = dict(target.attributes), target.tenant or actor.tenant
        found: list[Row] = []
        doubts: list[Distrusted] = []
        for row in await store.facts(connection, clock.today(), clock.now()):
            if self._is_believed(f"exchange_{row['what']}", row, doubts):
                found.append(row)
        claims = {claim for row in found for claim in _claims(row)}
        country = await self._country(connection, tenant)
        if country:
            claims.add(f"controller:{country}")
        if named.get("category"):
            claims.add(f"category:{named['category']}")
        if named.get("recipient"):
            claims |= await self._of_recipient(connection, named["recipient"], claims, doubts)
            claims.add(f"from:{country}")
        if named.get("totals") and target.kind == "organisation":
            claims.add(f"deidentified:{named['totals']}")  # the exchange counts them itself, see `exchange.totals`
        if named.get("order"):
            claims |= await self._of_order(connection, named["order"], doubts)
        instructions = tuple(
            Instructed(row["id"], frozenset(row["actions"]), frozenset(row["purposes"]))
            for row in found
            if row["what"] == "instruction"
        )
        return FactSet(claims=frozenset(claims), instructions=instructions, distrusted=tuple(doubts))

    async def _country(self, connection: Connection, tenant: UUID | None) -> str:
        """Where an organisation keeps its data; empty on the platform."""
        if tenant is not None:
            with suppress(OrganisationNotFound):
                return (await self._people.organisation_over(connection, tenant)).region
        return ""

    async def _of_recipient(
        self, connection: Connection, key: str, claims: Collection[str], doubts: list[Distrusted]
    ) -> set[str]:
        row = await store.recipient_by_key(connection, key)
        if row is None or not self._is_believed("exchange_recipient", row, doubts):
            return set()
        recipient = rows.recipient(row)
        known = {recipient.key, recipient.stands_under}
        found = {f"to:{recipient.country}", *(f"recipient:{each}" for each in known)}
        if f"contract:{recipient.contract_key}" in claims:
            found |= {f"contract:{each}" for each in known}
        return found

    async def _of_order(self, connection: Connection, order_id: str, doubts: list[Distrusted]) -> set[str]:
        try:
            row = await store.order(connection, UUID(order_id))
        except ValueError:
            return set()
        if row is None or not self._is_believed("exchange_order", row, doubts):
            return set()
        order = rows.order(row, lambda _row, _name: "")
        if not order.holds(clock.now()):
            return set()
        # Who files an order has read it; that is no review, which takes another person.
        reviewed = {"order_review"} if order.is_reviewed else set()
        return {"order_document", f"legal_order:{order.id}", *reviewed}

    def _is_believed(self, register: str, row: Row, doubts: list[Distrusted]) -> bool:
        if doubt := belief.doubted(self._sealer, register, row):
            doubts.append(doubt)
        return doubt is None


def _claims(row: Row) -> Iterator[str]:
    what = row["what"]
    if what == "instrument":
        struck_down_on = STRUCK_DOWN.get(row["kind"])
        if struck_down_on is not None and clock.today() >= struck_down_on:
            return
        yield f"instrument:{row['actions'][0]}-{row['purposes'][0]}"
    elif what == "contract" and row["key"] == AGREEMENT and row["kind"] in AGREEMENTS:
        yield f"agreement:{AGREEMENTS[row['kind']]}"
    yield f"{what}:{row['key']}"
