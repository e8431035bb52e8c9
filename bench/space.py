"""A network namespace with nothing but loopback: what runs here reaches nobody and is reached by nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_MARK = "TROTH_BENCH_SPACE"


def enter() -> None:
    """Start this program again inside a namespace of its own, unless it is in one.

    Raises:
        SystemExit: The machine does not let us; nothing was measured.
    """
    if os.environ.get(_MARK) == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        raise SystemExit("bench: unshare and ip (util-linux, iproute2) are needed: Orthanc listens on every address")
    how = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*how, "true"], capture_output=True, check=False).returncode:
        raise SystemExit("bench: no network namespace can be made here; run as root")
    os.environ[_MARK] = "1"
    os.execvp(how[0], [*how, sys.executable, "-m", "bench.run", *sys.argv[1:]])  # noqa: S606
