"""Open files of this process: idle connections must not use up what the service needs."""

from __future__ import annotations

import resource

_WANTED = 65_536


def raise_open_files() -> int:
    """Raise the soft limit of open files as far as it may be.

    Returns:
        The limit from now on.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
