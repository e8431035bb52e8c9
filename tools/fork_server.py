"""Runs tests in forks of a process that has imported the program and migrated a database: seconds instead of a minute.

Run as `python -m tools.fork_server FOLDER`; the folder is for the database server. Each line on standard input is a
JSON object: `arguments` of pytest, `environment`, `log`, and `edited`, the module and the path of a file that differs
from what was imported. Its functions are given the code that stands there now. The first line of the answer says that
all is imported; then one answers each order: the exit status, or -1 where more than the code of functions differs, so
that only a fresh Python shows what is so.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import pytest

from tests.common import deployment, dimse, receiver, servers  # noqa: F401 - what the tests import, imported once
from troth.kit import migrate
from troth.kit.postgres import EmbeddedServer
from troth.main import commands, node, upkeeping  # noqa: F401

FRESH: Final = -1


class NotSwapped(Exception):
    """What differs is not the code of a function that can be given another."""


def _likeness(code: CodeType) -> tuple[Any, ...]:
    """What code does, without where it stands; nested code apart."""
    constants = tuple((type(each), each) for each in code.co_consts if not isinstance(each, CodeType))
    return (
        code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags,
        tuple(each.co_name for each in _nested(code)),
    )  # fmt: skip


def _nested(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_NEWLOCALS)


def differing(before: CodeType, after: CodeType) -> Iterator[CodeType]:
    """The functions whose code differs, as they are now; of nested ones the outermost.

    Raises:
        NotSwapped: What runs at import differs.
    """
    if _is_function(before) and _is_function(after):
        if not _is_alike(before, after):
            yield after
        return
    if _likeness(before) != _likeness(after):
        raise NotSwapped(after.co_qualname)
    for one, other in zip(_nested(before), _nested(after), strict=True):
        yield from differing(one, other)


def _is_alike(before: CodeType, after: CodeType) -> bool:
    if _likeness(before) != _likeness(after):
        return False
    return all(_is_alike(one, other) for one, other in zip(_nested(before), _nested(after), strict=True))


def swap(module: ModuleType, before: str, after: str) -> int:
    """Give the functions of a module the code of another text; returns how many.

    Raises:
        NotSwapped: That would not be all of it.
    """
    file = str(module.__file__)
    changed = list(differing(compile(before, file, "exec"), compile(after, file, "exec")))
    for code in changed:
        found: Any = module
        for name in code.co_qualname.split("."):
            found = vars(found).get(name)
            found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
            if found is None:
                raise NotSwapped(code.co_qualname)
        function = inspect.unwrap(found)
        if not isinstance(function, FunctionType) or function.__code__.co_freevars != code.co_freevars:
            raise NotSwapped(code.co_qualname)
        function.__code__ = code
    return len(changed)


def _become_run(order: dict[str, Any], texts: dict[str, str]) -> None:
    status = 1
    try:
        sink = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(sink, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(order["environment"])
        for name, path in order["edited"]:
            swap(importlib.import_module(name), texts[name], Path(path).read_text(encoding="utf-8"))
        status = int(pytest.main(order["arguments"]))
    except NotSwapped:
        status = 255
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Fork a run for each line."""
    folder = Path(sys.argv[1])
    server = EmbeddedServer(folder, servers.SETTINGS)
    server.start()
    try:
        migrate.upgrade(server.dsn("troth_owner"), servers.MIGRATIONS)
        os.environ[servers.SHARED] = str(folder)
        texts = {
            name: Path(str(module.__file__)).read_text(encoding="utf-8")
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] == "troth" and getattr(module, "__file__", None)
        }
        sys.stdout.write("0\n")  # from here on the tree may be edited: everything is imported
        sys.stdout.flush()
        for line in sys.stdin:
            pid = os.fork()
            if pid == 0:
                _become_run(json.loads(line), texts)
            _, ended = os.waitpid(pid, 0)
            status = os.waitstatus_to_exitcode(ended)
            sys.stdout.write(f"{FRESH if status == 255 else status}\n")
            sys.stdout.flush()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
