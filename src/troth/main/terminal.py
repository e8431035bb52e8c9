"""The operator's terminal: what was named by strangers is shown there and never steers it.

A file of a disc may be called `ESC ]0;owned BEL`, or turn what stands after it round. Whatever is said goes through
here; what is not to be seen by anybody else is said only where a person looks on.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from troth.kit.owner import OwnerUnusable, as_caller, open_own

# C0 but for the line break and the tabulator, DEL, C1; marks and isolates of direction; halves of characters.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """A text in which every character that could steer a terminal stands as its escape.

    Args:
        text: Of whatever origin.
    """
    return _STEERS.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode(), text)


def named(text: str) -> str:
    """A name within a line: a line break of its own would begin another one."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def say(text: object = "", *, is_error: bool = False) -> None:
    """Say a line on standard output, or on standard error.

    Args:
        text: What to say.
        is_error: On standard error.
    """
    stream = sys.stderr if is_error else sys.stdout
    stream.write(shown(str(text)) + "\n")
    stream.flush()


def confide(what: str, lines: Sequence[str], where: Path) -> None:
    """Say what only the operator may know: on the terminal, or where nobody looks on, into a file of theirs.

    Args:
        what: What the lines are; a sentence without its full stop, no secret in it.
        lines: The secrets.
        where: The file; it is made for whoever gave the command alone, and the lines are added to it.

    Raises:
        OwnerUnusable: Somebody else put the file there, and would read it.
    """
    if sys.stdout.isatty():
        say(f"{what}:")
        for line in lines:
            say(f"     {line}")
        return
    with as_caller():  # what the parts' user owns, the parts can read
        descriptor = open_own(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        state = os.fstat(descriptor)
        if (state.st_uid, state.st_mode & 0o077) != (os.geteuid(), 0):
            raise OwnerUnusable(f"{where} is not only yours", hint="Find out who put it there, and take it away.")
        file.write(shown("\n".join((f"{what}:", *lines))) + "\n")
    say(f"{what}.")
    say(f"     They are in {where}, which only you can read: no terminal is attached here.")
