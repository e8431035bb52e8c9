"""How far the story of a data folder was told: kept beside its data, so that a later start says nothing else."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from troth.kit.errors import Conflict
from troth.kit.files import write_whole
from troth.kit.owner import as_caller, open_own
from troth.kit.postgres import EmbeddedServer

_FILE = "demo.json"


class NotOfTheDemo(Conflict):
    """A data folder in which no demo was begun."""

    slug = "not-of-the-demo"
    title = "This data folder is not of the demo"


@dataclass(slots=True)
class Mark:
    """How far the story was told.

    Attributes:
        begun: Number of the step that was begun last; 0 before the first.
        result: How it ended; empty while it was not told to its end.
        kept: UID of the study that the patient has at the end; empty where there is none.
        erased: UID of the one that is gone.
    """

    begun: int = 0
    result: Literal["", "held", "failed"] = ""
    kept: str = ""
    erased: str = ""

    @property
    def is_untold(self) -> bool:
        """Whether nothing was done yet that a second telling would meet: the first step only reads."""
        return self.begun <= 1

    def keep(self, folder: Path) -> None:
        """Write it down."""
        with as_caller():
            write_whole(folder / _FILE, json.dumps(asdict(self)).encode())

    @classmethod
    def of(cls, folder: Path) -> Mark:
        """What is known of a data folder; of an empty one, that nothing was told.

        Raises:
            NotOfTheDemo: It has a database, and no demo began there.
        """
        try:
            with os.fdopen(open_own(folder / _FILE, os.O_RDONLY)) as file:
                content = file.read()
        except FileNotFoundError:
            if (folder / "pg" / "PG_VERSION").exists():
                raise NotOfTheDemo(
                    f"{folder} holds a deployment in which this demo never began",
                    hint=f"Give the demo a new folder. This one goes on with: troth serve --data-dir {folder}",
                ) from None
            return cls()
        with suppress(ValueError, TypeError):
            return cls(**json.loads(content))
        return cls(begun=2)  # of another program: of some step


def aside(folder: Path) -> Path:
    """Move a story that was not told to its end out of the way, whole; returns where it is. Nothing is deleted.

    Args:
        folder: Of the deployment; its settings stay.

    Raises:
        NotOfTheDemo: A node has it.
    """
    if EmbeddedServer(folder).answers():
        raise NotOfTheDemo(f"a node is running on {folder}", hint="Stop it, or choose another --data-dir.")
    number = 1
    while (place := folder.with_name(f"{folder.name}.unfinished-{number}")).exists():
        number += 1
    folder.rename(place)
    if (settings := place / "troth.toml").exists():
        folder.mkdir()
        shutil.copy2(settings, folder / settings.name)
    return place
