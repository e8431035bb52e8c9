"""Who can be the second person, for whoever reads that they cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from troth.people import People, User

_MOST: Final = 3


async def seconds_for(people: People, tenant: UUID, first: UUID, users: Iterable[User]) -> tuple[str, ...]:
    """Names of some who are independent of the first person, in the order of the alphabet.

    Args:
        people: The room that knows it.
        tenant: The organisation of all of them.
        first: Who asked for it.
        users: Whose part it is to agree.
    """
    asked: Collection[User] = [each for each in users if each.is_active]
    apart = await people.independents(tenant, first, {each.id for each in asked})
    return tuple(sorted(each.name for each in asked if each.id in apart)[:_MOST])
