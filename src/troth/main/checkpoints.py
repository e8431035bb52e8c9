"""The signed checkpoint of the ledger leaves the house: to a file of the operator's choice, and by mail once a day.

Whoever holds the data folder can write the ledger anew, but not what lies elsewhere.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from troth.kit import clock
from troth.kit.db import Space
from troth.kit.files import write_whole
from troth.ledger import Checkpoint
from troth.main.wiring import Rooms
from troth.notice import Contact

MAILED: Final = "checkpoint.mailed"
_TO: Final = ("company", "dpo")
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

    async def once(self) -> int:
        """Add it to the file, and mail it where that was not done today and something happened since.

        Returns:
            How many were written to.

        Raises:
            OSError: The file cannot be written.
            troth.kit.mail.MailNotSent: The mail was not taken; it is tried again.
        """
        async with self._rooms.database.transaction(Space(None)) as connection:
            found = await self._rooms.ledger.checkpoint(connection)
        if found is None:
            return 0
        if file := self._rooms.settings.checkpoint_file:
            await asyncio.to_thread(append, Path(file), found.note)
        mailed, said = self._rooms.settings.data_dir / MAILED, f"{clock.today()} {found.size}"
        before = mailed.read_text().split() if mailed.exists() else ["", ""]
        if before[0] == str(clock.today()) or before[1:] == [str(found.size)]:
            return 0
        sent = await self._mail(found)
        await asyncio.to_thread(write_whole, mailed, said.encode())
        return sent

    async def _mail(self, found: Checkpoint) -> int:
        rooms = self._rooms
        addresses = {
            each.email
            for version in await rooms.notices.current()
            for each in version.notice.all("contact")
            if isinstance(each, Contact) and each.of in _TO and each.email
        }
        text = _TEXT.format(note=found.note, key=rooms.ledger.verifier_key)
        for address in sorted(addresses):
            await rooms.mail.send(address, _TITLE, text)
        return len(addresses)


def append(file: Path, note: str) -> bool:
    """Add a checkpoint to a file, where it differs from the last one there; whether it did."""
    if file.exists() and file.read_text().endswith(note):
        return False
    with file.open("a") as handle:
        handle.write(note)
    return True
