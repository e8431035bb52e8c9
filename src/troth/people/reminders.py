"""Reminders: whom of an organisation to write to about what waits for them, at most once a day."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from troth.people import reminders_store, store
from troth.people.errors import OrganisationNotFound, UserNotFound
from troth.people.model import User
from troth.people.users import Users
from troth.policy import Permit


class Reminders(Users):
    """The part of `People` that knows who wants to be reminded."""

    async def is_reminded(self, permit: Permit) -> bool:
        """Whether whoever acts is written to about what waits; they are, until they turn it off."""
        async with self._db.transaction(permit) as connection:
            return not await reminders_store.is_off(connection, _own(permit))

    async def turn_reminder(self, permit: Permit, *, is_on: bool) -> None:
        """Turn one's own reminders on or off."""
        async with self._db.transaction(permit) as connection:
            await reminders_store.turn(connection, _tenant(permit), _own(permit), is_off=not is_on)

    async def to_remind(self, permit: Permit, role: str, today: date) -> list[User]:
        """The members of a role who want it and were not written to today.

        Args:
            permit: To `administer` the organisation.
            role: Access role.
            today: By the calendar of whom is written to.
        """
        async with self._db.transaction(permit) as connection:
            done = await reminders_store.done_with(connection, today)
            members = [self._user(row) for row in await store.memberships(connection)]
        return [each for each in members if each.is_active and each.role == role and each.id not in done]

    async def note_reminded(self, permit: Permit, account_id: UUID, today: date) -> None:
        """Somebody was written to: not again on this day."""
        async with self._db.transaction(permit) as connection:
            await reminders_store.note(connection, _tenant(permit), account_id, today)


def _tenant(permit: Permit) -> UUID:
    if permit.tenant is None:
        raise OrganisationNotFound
    return permit.tenant


def _own(permit: Permit) -> UUID:
    if permit.actor.kind != "user" or permit.actor.id is None:
        raise UserNotFound
    return permit.actor.id
