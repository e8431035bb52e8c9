"""The durable work of disposing of contacts whose time is over, once somebody agreed to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from troth.kit.bell import Bell, looks
from troth.people import WORKER, Contacts
from troth.policy import Permit, PermitDenied, Policy, Target

if TYPE_CHECKING:  # the workflow engine costs a second to import; only the worker needs it
    from troth.kit.durable import Durable

DISPOSE = "lifecycle.dispose"
BATCH: Final = 50
TRY_AGAIN_SECONDS: Final = 3600.0
OURS: Final = "administration"


class ContactDisposal:
    """Disposes of contacts.

    Each record is decided about on its own, when it is its turn. What was taken under a contract is disposed of for the
    contract's own activity or not at all: for the site's it is refused by the clause about the reach of the notice.

    Args:
        contacts: The contacts.
        policy: Decides about each.
        durable: Where the workflow is registered; before `launch`.
    """

    def __init__(self, contacts: Contacts, policy: Policy, durable: Durable) -> None:
        self._contacts = contacts
        self._policy = policy
        self._durable = durable
        durable.register(DISPOSE, self._dispose)

    async def take(self, stop: asyncio.Event, pause_seconds: float = 0.5, bell: Bell | None = None) -> None:
        """Start a workflow for each disposal that was agreed to, until told to stop."""
        async for _ in looks(stop, pause_seconds, bell):
            for tenant, disposal_id in await self._contacts.open_disposals():
                await self._durable.start(DISPOSE, f"dispose:{disposal_id}", str(tenant), str(disposal_id))

    def _dispose(self, tenant: str, disposal_id: str) -> None:
        durable, number = self._durable, 0
        while True:
            try:
                while durable.step(f"dispose {number}", self._some, tenant, disposal_id):
                    number += 1
                durable.step("finish", self._finish, tenant, disposal_id)
                return
            except durable.Failed:
                number += 1
                durable.sleep(TRY_AGAIN_SECONDS)

    async def _some(self, tenant: str, disposal_id: str) -> int:
        worker = replace(WORKER, tenant=UUID(tenant))
        contracts = await self._contacts.contract_activities()

        async def decide(record_id: UUID, activity: str) -> Permit | None:
            target = Target("contact", record_id, UUID(tenant))
            purpose = activity if activity in contracts else OURS
            try:
                return await self._policy.require(worker, "dispose", target, purpose)
            except PermitDenied:
                return None  # written down by the decision; the record stays and is counted as kept

        return await self._contacts.dispose_some(UUID(tenant), UUID(disposal_id), decide, BATCH)

    async def _finish(self, tenant: str, disposal_id: str) -> int:
        worker, target = replace(WORKER, tenant=UUID(tenant)), Target("organisation", UUID(tenant), UUID(tenant))
        permit = await self._policy.require(worker, "dispose", target, OURS)
        return await self._contacts.finish_disposal(permit, UUID(disposal_id))
