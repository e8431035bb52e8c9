"""Programs of other makers that tests need: missing under CI is a failure, elsewhere a skip that names them."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Path of a program.

    Args:
        name: As it is called on the command line.
    """
    # Not from our own environment, once it is activated: pynetdicom brings scripts that are called as dcmtk's programs.
    ours = str(Path(sys.prefix) / "bin")
    folders = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each != ours]
    found = shutil.which(name, path=os.pathsep.join([*folders, "/usr/sbin", "/sbin"]))
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing: tools/packages installs it")
        pytest.skip(f"{name} is not installed")
    return found


async def run(name: str, *arguments: object) -> tuple[int, str]:
    """Run a program beside the test; its end and what it said.

    Args:
        name: As it is called on the command line.
        *arguments: Its arguments.
    """
    process = await asyncio.create_subprocess_exec(
        program(name), *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")
