"""A filter of system calls for a process that only computes: what is not on the list fails, whatever was taken over.

Written to the kernel directly, as classic BPF; there is no library between. On another processor than x86-64 and
AArch64 there is no filter, and `install` says so.

Per: seccomp(2), linux/seccomp.h, linux/filter.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Mapping

_MODE_FILTER, _ALL_THREADS = 1, 1  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
_ASK_FOR_ACTION = 2  # SECCOMP_GET_ACTION_AVAIL
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | 1  # of the process; EPERM
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in seccomp_data
_X32 = 0x40000000

#: Name to its number on x86-64 and on AArch64; None where it is not there.
_ALLOWED: Mapping[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "poll": (7, None),
    "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "readv": (19, 65),
    "writev": (20, 66), "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233), "nanosleep": (35, 101),
    "setitimer": (38, 103), "getpid": (39, 172),
    "exit": (60, 93), "gettimeofday": (96, 169), "getrusage": (98, 165), "times": (100, 153),
    "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98), "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "ppoll": (271, 73), "set_robust_list": (273, 99),
    "getrandom": (318, 278), "rseq": (334, 293),
}  # fmt: skip
#: Calls that are allowed on oneself only: the first argument is nought (this process) or its own number.
_LIMITS, _SIGNAL = (302, 261), (234, 131)  # prlimit64, tgkill
_INSTALL = (317, 277)  # seccomp
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_...


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def is_available() -> bool:
    """Whether `install` can filter here: this processor is on the list, and its kernel filters."""
    column, architecture = _ARCHITECTURES.get(platform.machine(), (0, 0))
    if not architecture:
        return False
    library, action = ctypes.CDLL(None, use_errno=True), ctypes.c_uint32(_KILL)
    return bool(library.syscall(_INSTALL[column], _ASK_FOR_ACTION, 0, ctypes.byref(action)) == 0)


def install() -> bool:
    """Filter the system calls of this process and all its threads, for good. It must have given up new rights before.

    Returns:
        Whether there is a filter now; False where the kernel or the processor has none.
    """
    column, architecture = _ARCHITECTURES.get(platform.machine(), (0, 0))
    if not architecture:
        return False
    written = b"".join(_instructions(column, architecture))
    code = ctypes.create_string_buffer(written, len(written))
    program = _Program(len(written) // 8, ctypes.addressof(code))
    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.syscall(_INSTALL[column], _MODE_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0)


def _instructions(column: int, architecture: int) -> list[bytes]:
    def step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_so, if_not, value)

    steps = [step(_LOAD, _ARCHITECTURE), step(_EQUAL, architecture, 1), step(_RETURN, _KILL), step(_LOAD, _NUMBER)]
    if not column:
        steps += [step(_AT_LEAST, _X32, 0, 1), step(_RETURN, _KILL)]
    for numbers in _ALLOWED.values():
        if (number := numbers[column]) is not None:
            steps += [step(_EQUAL, number, 0, 1), step(_RETURN, _ALLOW)]
    for numbers, oneself in ((_LIMITS, 0), (_SIGNAL, os.getpid())):
        steps += [
            step(_EQUAL, numbers[column], 0, 4),
            step(_LOAD, _FIRST_ARGUMENT),
            step(_EQUAL, oneself, 0, 1),
            step(_RETURN, _ALLOW),
            step(_RETURN, _REFUSE),
        ]
    return [*steps, step(_RETURN, _REFUSE)]
