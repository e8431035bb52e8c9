"""Programs of other makers that tests need: missing under CI is a failure, elsewhere a skip that names them."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """Path of a program.

    Args:
        name: As it is called on the command line.
    """
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing: tools/packages installs it")
        pytest.skip(f"{name} is not installed")
    return found
