"""A person's list with its proofs, to take away without asking for a copy: `LEDGER.JSON` as it is now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from troth import policy
from troth.kit import clock
from troth.ledger import NotSequenced
from troth.policy import Permit
from troth.rights import ledger_json, store
from troth.rights.errors import WrongPermit
from troth.rights.looked import access_list

if TYPE_CHECKING:
    from troth.rights.service import Rights

KIND = "rights:list:collected"


async def take_list(rights: Rights, permit: Permit, subject_id: UUID) -> bytes:
    """The list of who looked with everything that it takes to check it; that it is taken is written down first.

    Args:
        rights: The room.
        permit: `see_log` on the subject.
        subject_id: Whose list; with those of the identifiers that were merged into it.

    Returns:
        JSON (`ledger_json`), as of the moment before the entry of this act.

    Raises:
        WrongPermit: It is for another action or subject, or over.
        NotSequenced: Nothing was signed yet.
    """
    if permit.action != "see_log" or permit.target.subject_id != subject_id or permit.expires_at <= clock.now():
        raise WrongPermit
    subject = await rights.people.subject(permit, subject_id)
    async with rights.database.transaction(permit) as connection:
        await store.see_one_moment(connection)
        access = await access_list(rights.ledger, connection, await rights.people.kin_of(connection, subject_id))
    if not access.counted:
        raise NotSequenced
    counts = {"entries": len(access.proofs)}
    entry = policy.entry(permit, KIND, key=bytes(subject.audit_key), subject_id=subject.id, counts=counts)
    async with rights.database.transaction(permit) as connection:
        await rights.ledger.append(connection, entry)
    return await asyncio.to_thread(ledger_json.written, access)
