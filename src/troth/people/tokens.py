"""Bearer tokens for programs: issue, list. `Sessions.end_session_by_id` revokes one, as it ends a session."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from troth.kit import clock, ids
from troth.notice import Clause
from troth.people import store
from troth.people.errors import FieldMalformed
from troth.people.model import ROLES, LiveToken, digest_of, new_secret
from troth.people.users import Users, checked_role
from troth.policy import Clear, Permit, refs

MOST_TOKEN_LIFETIME: Final = timedelta(days=31)
TOKEN_ROLES: Final = ("peer", *ROLES)
"""The roles that a token can act in: a machine, or as staff."""


class Tokens(Users):
    """The part of `People` that gives programs their secrets."""

    async def issue_token(self, permit: Permit, tenant: UUID, role: str, purpose: str, lifetime: timedelta) -> str:
        """Issue a bearer token for DICOMweb and REST.

        Args:
            permit: To `issue_token` in the organisation.
            tenant: The organisation it acts in.
            role: A role of staff, or `peer` for a machine.
            purpose: The only purpose it may be used for, as the notice names it.
            lifetime: At most 31 days.

        Returns:
            The token; it cannot be shown again.

        Raises:
            FieldMalformed: No such role, no such purpose in any notice in force, or too long a lifetime.
        """
        space = self._space(permit, tenant)
        organisation = await self.organisation(tenant)
        if role != "peer":
            checked_role(role)
        await self._require_purpose(role, purpose)
        if not timedelta(0) < lifetime <= MOST_TOKEN_LIFETIME:
            raise FieldMalformed("the lifetime of a token is up to 31 days")
        token, token_id, now = new_secret(tenant), ids.uuid7(), clock.now()
        until = now + lifetime
        values = {
            "tenant": tenant,
            "id": token_id,
            "digest": digest_of(token),
            "form": "bearer",
            "kind": "peer" if role == "peer" else "user",
            "role": role,
            "proof": "issued",
            "purpose": purpose,
            "made_at": now,
            "seen_at": now,
            "expires_at": until,
        }
        said = {"token": str(token_id), "role": role, "purpose": purpose, "until": until.isoformat()}
        async with self._db.transaction(space) as connection:
            await store.insert_session(connection, values)
            await self._note(
                connection, "people:token:issued", permit.actor, tenant, organisation.key, permit=permit, payload=said,
                clear=Clear(refs=refs(token=token_id), says={"role": role, "purpose": purpose}, dates={"until": until}),
            )  # fmt: skip
        return token

    async def tokens(self, permit: Permit) -> list[LiveToken]:
        """The tokens of the permit's organisation that are good now, newest first. Secrets are not known.

        Args:
            permit: To `administer` the organisation.
        """
        async with self._db.transaction(permit) as connection:
            rows = await store.living(connection, clock.now(), "bearer")
        return [LiveToken(row["id"], row["role"], row["purpose"], row["made_at"], row["expires_at"]) for row in rows]

    async def _require_purpose(self, role: str, purpose: str) -> None:
        """Refuse a purpose for which no notice in force lets the role do anything: all it asked for would be refused.

        Raises:
            FieldMalformed: None does.
        """
        known = await self.purposes(role)
        if self._notices is not None and purpose not in known:
            said = f"For these they do: {', '.join(known)}." if known else "They let it do nothing."
            raise FieldMalformed("no notice in force lets it do anything for this purpose", hint=said)

    async def purposes(self, role: str) -> list[str]:
        """The purposes for which the notices in force let a role do something, in their order.

        Args:
            role: Access role; what everybody may do is none of a machine's work.
        """
        if self._notices is None:
            return []
        found = [clause for each in await self._notices.current() for clause in each.notice.all("purpose")]
        return list(dict.fromkeys(each.key for each in found if _lets(each, role)))


def _lets(clause: Clause, role: str) -> bool:
    return any(role in access.who for access in getattr(clause, "access", ()))
