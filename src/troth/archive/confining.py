"""Takes from a process everything that decoding a picture does not need. What it holds and what not is said here.

Codecs are old C code fed by strangers. The child that runs them keeps its pipes to the parent and loses the rest:

- memory beyond what it has taken so far plus 768 MiB, a few seconds of processor time for each picture, core dumps;
- files, sockets, anything with a descriptor: with a limit of none, every `open`, `socket` and `dup` fails, so it
  reads no key and reaches no network, also where no namespace may be made;
- the network once more, by a namespace without an interface, where the kernel lets us make one;
- other processes: no fork for a user of its own without rights, no new rights by `execve`, death with the parent.

Not held: without root and without user namespaces the child keeps the user it was started under, so it could signal
the node's other processes. There is no filter of system calls.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

_MORE_BYTES = 768 << 20
_PICTURE_SECONDS = 2  # of processor time; whole seconds are what the kernel counts here

_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000  # CLONE_NEWNET, CLONE_NEWUSER (sched.h)
_PARENT_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_RIGHTS = 1, 4, 38  # PR_SET_... (linux/prctl.h)

# Users that belong to nobody; systemd gives the same range to services without a user of their own.
_FIRST_USER, _USERS = 61184, 4000


def confine() -> None:
    """Confine this process, for good. Called in the child before it sees a stranger's bytes."""
    _load()
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_NEW_NETWORK):
        # Without root only together with a user namespace, and only while there is one thread; else the descriptors
        # that cannot be had have to do.
        library.unshare(_NEW_USER | _NEW_NETWORK)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _limit(resource.RLIMIT_AS, taken + _MORE_BYTES)
    for nothing in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK):
        _limit(nothing, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _limit(resource.RLIMIT_NOFILE, 0)
    if os.geteuid() == 0:
        user = _FIRST_USER + os.getpid() % _USERS
        with suppress(OSError):  # in a user namespace of one user there is no other to become
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
    # After the user: becoming another one clears the first of them.
    library.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    library.prctl(_DUMPABLE, 0, 0, 0, 0)
    library.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0)


def allot() -> None:
    """Allot the processor time of the next picture; whoever needs more is ended by the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + 1 + _PICTURE_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _load() -> None:
    """Load what decoding and drawing load late: afterwards no file can be opened."""
    import _CharLS  # type: ignore[import-not-found]  # noqa: F401
    import jpeg_ls  # noqa: F401
    import openjpeg.utils  # noqa: F401
    from PIL import GifImagePlugin, Image, ImageFont, JpegImagePlugin, PngImagePlugin  # noqa: F401

    from troth.dicom import codecs, painting, picture  # noqa: F401

    Image.init()
    ImageFont.load_default(10)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
