"""Erasing a person by their own request: all studies, who they are, their account; and the last letter to them.

Per: GDPR Art. 17. What a law or a hold keeps of them keeps who they are with it, for as long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from troth.kit.db import Row
from troth.people import SubjectNotFound
from troth.policy import Permit, PermitDenied, Target
from troth.rights import store
from troth.rights.errors import NotErased
from troth.rights.model import PERSON, Item, Outcome, RightsRequest
from troth.vault import KeyRef

if TYPE_CHECKING:
    from troth.rights.service import Rights

PURPOSE = "rights"
SETTLED = frozenset({Outcome.DONE_VERIFIED, Outcome.REFUSED})
_KEPT = "A scan of you is kept by law until then, and who you are has to be known with it."
_LAST = """\
Your request {reference} is answered: {organisation} has erased everything that it held of you, your account with it.
This is the last message to you; the link to your pages does not work any more.

What follows is the certificate. Keep it: we cannot give it to you again. Its signature is Ed25519 over the text
between the lines, in UTF-8.

-----
{certificate}
-----
Signature: {signature}
Public key: {key}
"""


def person_of(request: RightsRequest) -> Item | None:
    """The item of a request that stands for who somebody is; None where the request is about some studies only."""
    return next((item for item in request.items if item.kind == PERSON), None)


def kept_with(decisions: Iterable[Item]) -> Item | None:
    """Of what is kept of somebody, that which is kept longest; None where nothing is."""
    kept = [each for each in decisions if each.outcome is Outcome.REFUSED]
    return max(kept, key=lambda one: one.until or date.max, default=None)


class PersonErasure:
    """The steps of a request that end with the person erased. Each may be run twice.

    Args:
        rights: The room's verbs.
    """

    def __init__(self, rights: Rights) -> None:
        self._rights = rights

    async def refuse(self, permit: Permit, request_id: UUID, item: Item, because: Item) -> None:
        """Answer that who somebody is stays, as long as what is kept of them."""
        ground = _KEPT if because.until else because.ground
        async with self._rights.database.transaction(permit) as connection:
            await store.set_outcome(
                connection, request_id, item.id, Outcome.REFUSED.value, ground=ground,
                clause=because.clause, until=because.until,
            )  # fmt: skip

    async def erase(self, permit: Permit, row: Row, request: RightsRequest, item: Item) -> bool:
        """Erase the person: every study, with one write to the keyring, then who they are and their account.

        Returns:
            Whether it was done; False where a clause forbids it.

        Raises:
            NotErased: Another request of theirs is not answered yet, or something can still be read.
        """
        rights, subject_id = self._rights, row["subject_id"]
        target = Target("subject", subject_id, permit.tenant, subject_id, attributes=(("request", str(row["id"])),))
        try:
            allowed = await rights.policy.require(permit.actor, "erase", target, PURPOSE)
        except PermitDenied as fault:
            if not fault.clauses:
                raise
            notice = (await rights.notices.in_force("patients")).notice
            clause = notice.clause(fault.clauses[0])
            async with rights.database.transaction(permit) as connection:
                await store.set_outcome(
                    connection, row["id"], item.id, Outcome.REFUSED.value, clause=fault.clauses[0],
                    ground=clause.sentence(notice) if clause is not None else "",
                )  # fmt: skip
            return False
        async with rights.database.transaction(permit) as connection:
            kin = await rights.people.kin_of(connection, subject_id)
            if len(await store.open_requests(connection, kin)) > 1:
                raise NotErased
        await self._keep_reply(permit, row, subject_id)
        try:
            await rights.archive.erase_subject(allowed, subject_id)
        except SubjectNotFound:  # cut short before: the keys are gone, what hangs on them follows
            await rights.archive.resume_erasures(allowed)
        gone = await rights.people.forget(allowed, kin, row["audit_key"])
        await self._settle(permit, row, request, item, gone.event_id)
        return True

    async def _settle(
        self, permit: Permit, row: Row, request: RightsRequest, person: Item, event_id: UUID | None
    ) -> None:
        """Look whether anything can still be read, and only then call it done."""
        rights = self._rights
        studies = [each for each in request.items if each.kind == "study" and each.target_id is not None]
        shown = {each.id: await rights.archive.erasure(permit, each.target_id) for each in studies if each.target_id}
        keys = [KeyRef(row["subject_key"]), *(KeyRef(bytes.fromhex(key)) for one in shown.values() for key in one.keys)]
        left = await rights.archive.studies_of_subject(permit, row["subject_id"])
        if left or any(rights.keyring.is_alive(key) for key in keys):
            raise NotErased
        done = Outcome.DONE_VERIFIED.value
        async with rights.database.transaction(permit) as connection:
            for each in studies:
                await store.set_outcome(connection, row["id"], each.id, done, event_id=shown[each.id].event_id)
            await store.set_outcome(connection, row["id"], person.id, done, event_id=event_id)

    # The last letter

    async def _keep_reply(self, permit: Permit, row: Row, subject_id: UUID) -> None:
        """Keep where the answer goes, sealed under the audit key, until it went."""
        rights = self._rights
        accounts = await rights.people.accounts_of_subject(permit, subject_id)
        if not accounts:
            return
        plain = json.dumps([each.email for each in accounts]).encode()
        sealed = rights.keyring.seal(KeyRef(row["audit_key"]), plain, _reply(row["id"]))
        async with rights.database.transaction(permit) as connection:
            await store.keep_reply(connection, row["id"], sealed)

    async def write(self, permit: Permit, row: Row) -> int:
        """Send the answer with its certificate to where the request came from, and forget the address."""
        rights = self._rights
        plain = rights.keyring.unseal(KeyRef(row["audit_key"]), bytes(row["reply_sealed"]), _reply(row["id"]))
        signed = await rights.certificate(permit, row["id"])
        organisation = await rights.people.organisation(row["tenant"])
        text = _LAST.format(
            reference=f"R-{row['number']}", organisation=organisation.name, certificate=signed.text.decode(),
            signature=signed.signature.hex(), key=signed.public_key.hex(),
        )  # fmt: skip
        addresses = [str(each) for each in json.loads(plain)]
        for address in addresses:
            await rights.people.write_once(permit, address, "Everything of you is erased", text)
        async with rights.database.transaction(permit) as connection:
            await store.keep_reply(connection, row["id"], None)
        return len(addresses)


def _reply(request_id: UUID) -> bytes:
    return b"rights-reply:" + request_id.bytes
