"""Starts nodes by forking: everything is imported once, so that a start costs what a start costs and no more.

Run as `python -m tests.common.nursery`. Each line on standard input is a JSON list: a log file, then the arguments of
`troth`; the answer is the process id of the node, which leads a session and a process group of its own. The nursery
also reaps what its nodes leave behind, as init does on a machine.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType

import troth.kit.durable  # noqa: F401  the worker imports it after its fork: a second that every start would pay
from troth.main import cli, first_start, parts  # noqa: F401  parts and first start are what `serve` imports

_SET_CHILD_SUBREAPER = 36


def _reap(signum: int, frame: FrameType | None) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become_node(log: str, arguments: list[str]) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(sink, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["troth", *arguments]
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Fork a node for each line."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGCHLD, _reap)
    for line in sys.stdin:
        log, *arguments = json.loads(line)
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.close(ready)
            os.close(tell)
            _become_node(log, arguments)
        os.close(tell)
        os.read(ready, 1)  # returns when the child has its own session
        os.close(ready)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
