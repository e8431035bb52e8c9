"""Raw pages of the database, looked at by the database's own user for parts that may not open them.

Where root starts a node, the parts are a user who cannot read the database's folder, and yet it is shown that nothing
lies there in the clear. A process of its own, as the database's user, is asked by a socket that the parts' group alone
reaches. It is told which files, and answers with what the look found: no byte of any file leaves it.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from troth.proofs.model import Checked

NAME: Final = "raw"
"""Of the socket, in the folder of the database's own."""

_FILE: Final = re.compile(r"(base/[0-9]{1,10}|global)/[0-9]{1,10}", re.ASCII)
_MOST_BYTES: Final = 1 << 18
_SECONDS: Final = 30.0

Look = Callable[[Path, list[str]], Checked]


def listener(folder: Path) -> socket.socket:
    """The socket to be asked by; the folder's group may.

    Args:
        folder: Of the database's socket, whose group the socket takes over.
    """
    place = folder / NAME
    place.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(place))
    place.chmod(0o660)
    made.listen(4)
    return made


def serve(listening: socket.socket, cluster: Path, look: Look) -> None:
    """Answer, one after the other, until the process is ended.

    Args:
        listening: Where questions come.
        cluster: Folder of the database.
        look: What is asked for.
    """
    while True:
        connection, _ = listening.accept()
        with connection, suppress(OSError, ValueError):
            found = look(cluster, _files(_whole(connection)))
            connection.settimeout(_SECONDS)
            connection.sendall(json.dumps([found.measure, found.holds, found.found]).encode())


def _files(question: bytes) -> list[str]:
    """The files that a question names; it comes from a part, so it may be anything.

    Raises:
        ValueError: It is none of ours, and is not answered.
    """
    try:
        asked = json.loads(question)
    except RecursionError:
        raise ValueError("nested deeper than any question") from None
    if not isinstance(asked, list) or not all(isinstance(name, str) and _FILE.fullmatch(name) for name in asked):
        raise ValueError("not a list of files of tables")
    return asked


def ask(folder: Path, files: Sequence[str]) -> Checked | None:
    """What the database's user sees; None where there is nobody to ask.

    Args:
        folder: Of the database's socket.
        files: Of tables, below the folder of the database.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(folder / NAME))
            connection.sendall(json.dumps(files).encode())
            connection.shutdown(socket.SHUT_WR)
            measure, holds, found = json.loads(_whole(connection))
    except (OSError, ValueError):
        return None
    return Checked(str(measure), None if holds is None else bool(holds), str(found))


def _whole(connection: socket.socket) -> bytes:
    """All that the other side says within the time, however slowly each piece of it comes.

    Raises:
        TimeoutError: It has not ended by then.
        ValueError: It is longer than any question or answer.
    """
    content, ends = b"", time.monotonic() + _SECONDS
    while True:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        if not (piece := connection.recv(1 << 16)):
            return content
        content += piece
        if len(content) > _MOST_BYTES:
            raise ValueError("longer than any question or answer")
