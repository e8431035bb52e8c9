"""What somebody had typed when their session ended or was not fresh enough: kept for them alone, for half an hour."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Space
from troth.people import store as people_store
from troth.people.factors import store
from troth.people.handovers import Handovers
from troth.people.model import digest_of, tenant_of
from troth.policy import Actor
from troth.vault import KeyRef

DRAFT_LIFETIME = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Draft:
    """A form that was filled in and not done.

    Attributes:
        path: Where it was sent.
        page: The page it stands on, with its query.
        fields: What was typed; empty where only the page is to be opened again.
    """

    path: str
    page: str
    fields: Mapping[str, str] = field(repr=False)


class Drafts(Handovers):
    """The part of `People` that loses nothing that was typed."""

    async def keep_draft(self, token: str, draft: Draft) -> bool:
        """Keep a form for whoever has, or had, a session; what was kept for them before goes.

        A session that was ended on purpose, by sign-out or by somebody else, keeps nothing.

        Args:
            token: Value of the session cookie.
            draft: The form.

        Returns:
            Whether it is kept.
        """
        tenant = tenant_of(token)
        if tenant is None:
            return False
        now = clock.now()
        async with self._db.transaction(Space(tenant)) as connection:
            row = await store.session_that_was(connection, digest_of(token), now - DRAFT_LIFETIME)
            if row is None:
                return False
            holder_id = row["subject_id"] or row["account_id"]
            said = json.dumps({"path": draft.path, "page": draft.page, "fields": dict(draft.fields)})
            context = _context(tenant, row["account_id"], holder_id)
            values = {
                "tenant": tenant, "account_id": row["account_id"], "holder_id": holder_id,
                "sealed": self._keyring.seal(KeyRef(row["account_key"]), said.encode(), context),
                "made_at": now, "expires_at": now + DRAFT_LIFETIME,
            }  # fmt: skip
            await store.put_draft(connection, values)
        return True

    async def draft(self, actor: Actor) -> Draft | None:
        """What is kept for somebody who is signed in; None where there is nothing, or it is too old."""
        if actor.tenant is None or actor.id is None:
            return None
        async with self._db.transaction(actor) as connection:
            return await self._draft(connection, actor.tenant, actor.id, actor.subject_id or actor.id)

    async def drop_draft(self, actor: Actor) -> None:
        """The form was sent: what was kept goes."""
        async with self._db.transaction(actor) as connection:
            await store.delete_draft(connection, actor.id, actor.subject_id or actor.id)

    async def _draft(self, connection: Connection, tenant: UUID, account_id: UUID, holder_id: UUID) -> Draft | None:
        row = await store.draft(connection, account_id, holder_id, clock.now())
        account = await people_store.account(connection, account_id) if row else None
        if row is None or account is None:
            return None
        context = _context(tenant, account_id, holder_id)
        said = json.loads(self._keyring.unseal(KeyRef(account["key"]), row["sealed"], context))
        return Draft(
            str(said["path"]), str(said["page"]), {str(key): str(each) for key, each in said["fields"].items()}
        )


def _context(tenant: UUID, account_id: UUID, holder_id: UUID) -> bytes:
    return b"draft:" + tenant.bytes + account_id.bytes + holder_id.bytes
