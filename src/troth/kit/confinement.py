"""Takes from a process everything that computing does not need. What it holds and what not is said here.

Codecs are old C code fed by strangers, and so is a parser. The child that runs them keeps its pipe to the parent and
loses the rest:

- memory beyond what it has taken so far plus 640 MiB, a few seconds of processor time for each task, core dumps;
- files, sockets, anything with a descriptor: with a limit of none, every `open`, `socket` and `dup` fails, so it
  reads no key and reaches no network, also where no namespace may be made;
- the network once more, by a namespace without an interface, where the kernel lets us make one;
- every capability, and other processes: no fork, no new rights by `execve`, death with the parent;
- every system call that computing does not need (`seccomp`); signals reach itself alone.

Not held: unless root starts it, as by a command, the child keeps the user of the part that started it, and on a
processor without a filter of ours it could then signal the node's other processes.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

from troth.kit import seccomp

_MORE_BYTES = 640 << 20

_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000  # CLONE_NEWNET, CLONE_NEWUSER (sched.h)
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of each set
_PARENT_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_RIGHTS = 1, 4, 38  # PR_SET_... (linux/prctl.h)

# Users that belong to nobody; systemd gives the same range to services without a user of their own.
_FIRST_USER, _USERS = 61184, 4000


def confine() -> None:
    """Confine this process, for good. Called in the child before it sees a stranger's bytes.

    What it will run has to be loaded before: afterwards no file can be opened.
    """
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
    # A new user namespace gives all capabilities over itself; becoming another user has taken root's away.
    library.capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())
    # After the user: becoming another one clears the first of them.
    library.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    library.prctl(_DUMPABLE, 0, 0, 0, 0)
    library.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0)
    seccomp.install()


def lacking() -> str:
    """What a confined child cannot be kept from on this machine, as a sentence; empty where nothing lacks."""
    if seccomp.is_available():
        return ""
    return (
        "System calls cannot be filtered on this processor or by its kernel: what draws pictures and reads metadata of "
        "senders is confined by its limits alone"
    )


def allot(seconds: float) -> None:
    """Allot the processor time of the next task; whoever needs more is ended by the kernel.

    Args:
        seconds: How much. Nought ends the timer; the limit behind it, of whole seconds, stays for whoever stops it.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


#: With these the kernel ends whoever has used up its time.
TIME_SIGNALS = frozenset({signal.SIGPROF, signal.SIGXCPU})


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
