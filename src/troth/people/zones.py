"""Time zones: whose clocks an account reads times from. Each account has its own, or goes by the notice's."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from troth.people import store
from troth.people.errors import FieldMalformed, PersonNeeded
from troth.people.users import Users
from troth.policy import Permit

_REGIONS: Final = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


def _places() -> list[str]:
    """The zones that the IANA database lists by country (`zone.tab`): each once, by the name that it has today."""
    listed = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text().splitlines()
    names = [line.split("\t")[2] for line in listed if line and not line.startswith("#")]
    return sorted(each for each in names if each.partition("/")[0] in _REGIONS)


ZONES: Final = (*_places(), "UTC")
"""What can be chosen: the zones of the IANA database that are named after a place, and UTC."""


class Zones(Users):
    """The part of `People` that knows whose clocks an account reads."""

    async def choose_zone(self, permit: Permit, zone: str) -> None:
        """Read all times by the clocks of a place from now on, wherever the account stands.

        Args:
            permit: Of somebody with an account, about themselves.
            zone: IANA name, of `ZONES`; empty to go by the notice's.

        Raises:
            FieldMalformed: There is no such zone.
            PersonNeeded: Whoever acts has no account, or it is about somebody else.
        """
        actor = permit.actor
        if actor.id is None or actor.kind not in ("user", "patient"):
            raise PersonNeeded
        if permit.target.subject_id != (actor.subject_id or actor.id):
            raise PersonNeeded
        if zone and zone not in ZONES:
            raise FieldMalformed("there is no such time zone", hint="Choose one of the list.")
        async with self._db.transaction(None) as connection:
            await store.set_zone(connection, actor.id, zone)
