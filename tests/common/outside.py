"""Somebody outside who may receive scans: the rows of the registers, typed by the office into its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from tests.common.deployment import Deployment, Held, Person
from tests.common.receiver import Receiver
from troth.exchange import Contract, Instruction, Instrument, LegalOrder, Recipient
from troth.people import Organisation
from troth.policy import Target

SINCE = "2026-01-05"
FIRM = {"kind": "service_provider", "stands_under": "works_firms", "categories": "images", "purposes": "upkeep"}
ORDER = {
    "key": "standing_order", "words": "Keep our scans and show them to those who treat our patients.",
    "actions": "store query retrieve see_log invite echo", "purposes": "diagnosis care upkeep", "valid_from": SINCE,
}  # fmt: skip
"""A firm that mends, and what an organisation instructs, as the forms of the equipment maker take them."""


@dataclass
class Office:
    """The privacy office of an organisation, at its pages."""

    place: Deployment
    house: Organisation
    person: Person

    async def file(self, register: str, **typed: Any) -> httpx.Response:
        """Add a row to a register, as the form does."""
        page = {"instructions": "instructions", "instruments": "transfers", "orders": "transfers"}
        return await self.person.post(f"/office/{register}", typed, page=f"/office/{page.get(register, 'recipients')}")

    async def filed(self, register: str, **typed: Any) -> None:
        """The same, and it was taken."""
        answer = await self.file(register, **typed)
        assert answer.status_code == 303, answer.text

    async def end(self, register: str, row_id: Any, reason: str = "") -> httpx.Response:
        """End a row."""
        page = {"instructions": "instructions", "instruments": "transfers", "orders": "transfers"}
        there = f"/office/{page.get(register, 'recipients')}"
        return await self.person.post(f"/office/{register}/{row_id}/end", {"reason": reason}, page=there)

    async def reviewed(self, order_id: Any, by: Person | None = None) -> httpx.Response:
        """A second person of the office says that they have read an order."""
        reader = by or await self.place.staff("office", self.house)
        return await reader.post(f"/office/orders/{order_id}/review", {}, page="/office/transfers")

    async def contract(self, key: str, kind: str = "processor", **typed: Any) -> None:
        """File a contract."""
        await self.filed("contracts", **{"key": key, "kind": kind, "party": "Outside", "valid_from": SINCE, **typed})

    async def recipient(self, key: str, receiver: Receiver, **typed: Any) -> None:
        """Register a recipient with its system."""
        # A title belongs to one organisation, and the receiver answers to any.
        title = f"{receiver.ae[:10]}_{self.house.id.hex[-5:].upper()}"
        if title not in {each.ae for each in await self.place.rooms.people.peers(self._permit("administer"))}:
            await self.place.peer(title, self.house, receiver.port)
        given = {"key": key, "name": f"Outside {key}", "address": "1 Elsewhere Street", "peer_ae": title}
        await self.filed("recipients", **{**given, **typed})

    async def instrument(self, key: str, origin: str, destination: str, kind: str = "scc", **typed: Any) -> None:
        """File an instrument for transfers."""
        given = {"kind": kind, "origin": origin, "destination": destination, "valid_from": SINCE}
        await self.filed("instruments", **{"key": key, "document": f"The clauses {key}.", **given, **typed})

    async def disclose(self, held: Held, recipient: str, purpose: str, kind: str, **typed: Any) -> httpx.Response:
        """Send a study to a recipient, as the form does."""
        given = {"study": str(held.id), "recipient": recipient, "purpose": purpose, "kind": kind, "category": "images"}
        return await self.person.post("/office/disclosures", {**given, **typed}, page="/office/recipients")

    async def recipients(self) -> dict[str, Recipient]:
        """The register by key."""
        return {each.key: each for each in await self.place.rooms.exchange.recipients(self._permit("keep_register"))}

    async def contracts(self) -> dict[str, Contract]:
        """The register by key."""
        return {each.key: each for each in await self.place.rooms.exchange.contracts(self._permit("keep_register"))}

    async def instruments(self) -> dict[str, Instrument]:
        """The register by key."""
        return {each.key: each for each in await self.place.rooms.exchange.instruments(self._permit("keep_register"))}

    async def instructions(self) -> dict[str, Instruction]:
        """The register by key."""
        return {each.key: each for each in await self.place.rooms.exchange.instructions(self._permit("instruct"))}

    async def orders(self) -> list[LegalOrder]:
        """The register, newest first."""
        return await self.place.rooms.exchange.orders(self._permit("keep_register"))

    def _permit(self, action: str) -> Any:
        return self.place.set_up_permit(action, Target("organisation", self.house.id, self.house.id))


async def office_of(place: Deployment, house: Organisation | None = None) -> Office:
    """A privacy officer of an organisation, signed in."""
    where = house or place.first
    return Office(place, where, await place.staff("office", where))


def house_in(place: Deployment, region: str) -> Organisation:
    """An organisation of a deployment by its country."""
    return next(each for each in place.organisations if each.region == region)
