"""The signed checkpoint of the ledger leaves the house: to a file of the operator's choice, and by mail once a day.

Whoever holds the data folder can write the ledger anew, but not what lies elsewhere.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from troth.kit import clock
from troth.kit.db import Space
from troth.kit.errors import TrothError
from troth.kit.files import write_whole
from troth.ledger import Checkpoint
from troth.main.first_start import permit_for
from troth.main.wiring import Rooms
from troth.notice import Contact
from troth.policy import Target

MAILED: Final = "checkpoint.mailed"
_TO: Final = ("company", "dpo")
_ROLE: Final = "office"
_ALL: Final = "all"
_TITLE: Final = "The ledger as it stands today"
_TEXT: Final = """\
Keep this message. Below are the size of the platform's ledger and its fingerprint, signed. If an entry is ever taken
out or changed, this shows it: save the lines to a file and run  troth ledger verify --known FILE

{note}
Key: {key}
"""


class Checkpoints:
    """Gives the newest checkpoint out.

    Args:
        rooms: Of this process.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._mailed = rooms.settings.data_dir / MAILED

    async def once(self) -> int:
        """Add it to the file, and mail it to whom it was not mailed today, where something happened since yesterday's.

        Returns:
            How many were written to.

        Raises:
            OSError: The file cannot be written.
            TrothError: One of them was not taken, or cannot be written; it is tried again, and the others have theirs.
        """
        async with self._rooms.database.transaction(Space(None)) as connection:
            found = await self._rooms.ledger.checkpoint(connection)
        if found is None:
            return 0
        if file := self._rooms.settings.checkpoint_file:
            await asyncio.to_thread(append, Path(file), found.note)
        today = str(clock.today())
        day, size, *told = self._mailed.read_text().split() if self._mailed.exists() else ["", ""]
        if day != today and size != str(found.size):
            size, told = str(found.size), []
        # Who was not reached is tried again, also on the next day where nothing happened since.
        return 0 if _ALL in told else await self._mail(found, size, told)

    async def _mail(self, found: Checkpoint, size: str, told: list[str]) -> int:
        """To each who does not have it; who has is kept as a tag of the address, which is in the clear nowhere.

        The size is that of the one that was mailed first: where some have it and others a later one, the next day
        brings the newest to all.
        """
        rooms, sent = self._rooms, 0
        failed: TrothError | None = None
        text = _TEXT.format(note=found.note, key=rooms.ledger.verifier_key)
        for address in sorted(await self._addresses()):
            mark = rooms.keyring.tag(f"{MAILED}\n{address}".encode()).hex()[:16]
            if mark in told:
                continue
            try:
                await rooms.mail.send(address, _TITLE, text)
            except TrothError as fault:
                failed = fault
                continue
            told.append(mark)
            sent += 1
        if failed is None:
            told.append(_ALL)
        said = " ".join([str(clock.today()), size, *told])
        await asyncio.to_thread(write_whole, self._mailed, said.encode())
        if failed is not None:
            raise failed
        return sent

    async def _addresses(self) -> set[str]:
        """The company and its officer, as the notice names them, and the privacy office of each organisation."""
        rooms = self._rooms
        addresses = {
            each.email
            for version in await rooms.notices.current()
            for each in version.notice.all("contact")
            if isinstance(each, Contact) and each.of in _TO and each.email
        }
        for place in await rooms.people.organisations():
            permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
            members = await rooms.people.users(permit)
            addresses |= {each.email for each in members if each.is_active and each.role == _ROLE}
        return addresses


def append(file: Path, note: str) -> bool:
    """Add a checkpoint to a file, where it differs from the last one there; whether it did."""
    if file.exists() and file.read_text().endswith(note):
        return False
    with file.open("a") as handle:
        handle.write(note)
    return True
