"""The head file: how large the ledger was when it was last signed, kept where the database's superuser cannot write.

Whoever has all power over the database, but not the data folder, can cut the newest entries off together with their
leaves, tiles and checkpoints; what is left fits. It does not fit this file. The sequencer replaces it after each
checkpoint, at most once a second; start, sequencer and verification compare. Whoever also holds the data folder can
write it anew: against them only what left the house helps (a checkpoint on paper, in a mail, at a witness).

``ledger.head`` is JSON: `size`, `root` (hex), `fence`, `coded_from` and `note`, the signed checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.kit.files import write_whole
from troth.ledger.errors import TreeBroken

NAME: Final = "ledger.head"


@dataclass(frozen=True, slots=True)
class Head:
    """What the file says.

    Attributes:
        size: Leaves of the tree that was signed last.
        root: Its root.
        fence: Number of the sequencer that signed it.
        coded_from: Index from which on each entry carries a code; before it there are only entries of version 1,
            written by a program that made none.
        note: The signed checkpoint.
    """

    size: int
    root: bytes
    fence: int = 0
    coded_from: int = 0
    note: str = ""


class HeadFile:
    """The file in the data folder.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def read(self) -> Head | None:
        """What it says; None where there is none.

        Raises:
            TreeBroken: It cannot be read.
        """
        try:
            said = json.loads(self.path.read_text())
            return Head(
                int(said["size"]), bytes.fromhex(said["root"]), int(said["fence"]), int(said["coded_from"]),
                str(said["note"]),
            )  # fmt: skip
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise TreeBroken(f"the file {NAME} cannot be read") from fault

    def write(self, head: Head) -> None:
        """Replace it; durable on return, and whole whatever happens in between."""
        said = {
            "size": head.size,
            "root": head.root.hex(),
            "fence": head.fence,
            "coded_from": head.coded_from,
            "note": head.note,
        }
        write_whole(self.path, json.dumps(said).encode())
