"""Studies on a medium: a DICOM file set with its DICOMDIR that any viewer opens, written as a stream.

    DICOMDIR, DICOM/ST000001/SE000001/IM000001   each data set bit for bit as it was stored
    README.TXT, INDEX.HTM                        what this is, for people; nothing personal

Per: DICOM PS3.10 8, PS3.12 V; IHE RAD TF-3 4.47 (Portable Data for Imaging).
"""

from __future__ import annotations

import asyncio
import os
from collections import ChainMap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from troth import dicom
from troth.archive.errors import SourceRefused
from troth.archive.model import InstanceRecord
from troth.archive.viewing import Viewing
from troth.kit.owner import as_caller

_STUDY_UID, _SERIES_UID, _MODALITY = 0x0020000D, 0x0020000E, 0x00080060
_GATHERED_BYTES: Final = 1 << 20


class Entry(Protocol):
    """One file on its way out."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""

    def close(self) -> str:
        """The file is whole; its SHA-256 in hexadecimal digits."""


class Medium(Protocol):
    """Where the files go."""

    def open(self, name: str) -> Entry:
        """Begin a file; its path has slashes."""


class FolderMedium:
    """A new folder.

    Args:
        folder: Must be empty or absent.

    Raises:
        SourceRefused: It holds something.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SourceRefused(f"{folder} is not empty", hint="Choose a new folder.")
        with as_caller():
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def open(self, name: str) -> _FileEntry:
        """Begin a file."""
        path = self._folder.joinpath(*name.split("/"))
        with as_caller():
            path.parent.mkdir(parents=True, exist_ok=True)
            return _FileEntry(path)


class _FileEntry:
    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def close(self) -> str:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return ""


@dataclass(slots=True)
class Exported:
    """What was written."""

    studies: int = 0
    instances: int = 0
    bytes: int = 0


@dataclass(slots=True)
class MediaWriter:
    """Writes studies one after the other, then what describes them. To be closed (`aclosing`) before its medium is.

    Args:
        medium: Where to.
        told: Is told how many instances are written.
    """

    medium: Medium
    told: Callable[[int], None] = lambda count: None
    exported: Exported = field(default_factory=Exported)
    _listed: list[dicom.Listed] = field(default_factory=list)
    _writing: asyncio.Future[None] | None = None

    async def add(self, viewing: Viewing) -> None:
        """Write a study that was opened for it."""
        self.exported.studies += 1
        folder = ("DICOM", f"ST{self.exported.studies:06d}")
        instances: dict[str, list[InstanceRecord]] = {}
        for instance in await viewing.instances():
            instances.setdefault(instance.series_uid, []).append(instance)
        for place, series in enumerate(await viewing.series(), 1):
            own = {
                _STUDY_UID: viewing.study.study_uid, _SERIES_UID: series.series_uid, _MODALITY: series.modality,
            }  # fmt: skip
            for count, instance in enumerate(instances.get(series.series_uid, ()), 1):
                file_id = (*folder, f"SE{place:06d}", f"IM{count:06d}")
                async with self._file("/".join(file_id)) as put:
                    async for chunk in viewing.part10(instance):
                        await put(chunk)
                values = ChainMap(own, viewing.values(instance), dict(series.values), dict(viewing.study.values))
                head = await viewing.head(instance) if instance.rows is None else None
                self._listed.append(listed_as(file_id, instance, values, head))
                self.exported.instances += 1
                self.told(self.exported.instances)

    async def finish(self, organisation: str, made_on: str) -> Exported:
        """Write the DICOMDIR and what people read.

        Args:
            organisation: Whose medium it is.
            made_on: The day, such as "22 November 2026".
        """
        directory = await asyncio.to_thread(dicom.write_dicomdir, self._listed)
        counted = f"{self.exported.studies} studies with {self.exported.instances} files"
        text = f"Images of {organisation}, {made_on}.\r\n{counted}; DICOMDIR lists them.\r\n".encode("ascii", "replace")
        page = (
            f"<!doctype html><html lang=en><meta charset=us-ascii><title>Images</title><h1>Images</h1>"
            f"<p>{_escaped(organisation)}, {made_on}. {counted}.</p>"
            '<p>Open the file <a href="DICOMDIR">DICOMDIR</a> with any DICOM viewer.</p></html>\r\n'
        ).encode("ascii", "xmlcharrefreplace")
        for name, content in (("DICOMDIR", directory), ("README.TXT", text), ("INDEX.HTM", page)):
            async with self._file(name) as put:
                await put(content)
        await self._written(None)
        return self.exported

    @asynccontextmanager
    async def _file(self, name: str) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
        """A file of the medium: what is put into it is written while the next bytes are read and opened."""
        gathered: list[bytes] = []
        entry: Entry | None = None

        def write(chunks: list[bytes], is_last: bool) -> None:
            nonlocal entry
            if entry is None:
                entry = self.medium.open(name)
            for chunk in chunks:
                entry.write(chunk)
            if is_last:
                entry.close()

        async def put(chunk: bytes) -> None:
            self.exported.bytes += len(chunk)
            gathered.append(chunk)
            if sum(map(len, gathered)) >= _GATHERED_BYTES:
                await self._written(partial(write, gathered.copy(), False))
                gathered.clear()

        yield put
        await self._written(partial(write, gathered, True))

    async def _written(self, work: Callable[[], None] | None) -> None:
        """Wait until what was to be written before is written, and begin to write more. In the order of the calls."""
        if self._writing is not None:
            await asyncio.shield(self._writing)  # kept until it is done: whoever is cancelled here still closes
        self._writing = asyncio.ensure_future(asyncio.to_thread(work)) if work is not None else None

    async def aclose(self) -> None:
        """Nothing is written any more on return, also where something went wrong. May be repeated."""
        if self._writing is not None:
            await asyncio.wait([self._writing])


def listed_as(
    file_id: tuple[str, ...], instance: InstanceRecord, values: Mapping[int, str], head: bytes | None
) -> dicom.Listed:
    """An instance for the DICOMDIR: by what the index knows, or by its head where the directory wants more.

    Args:
        file_id: Path of the file, component by component.
        instance: The instance.
        values: Attributes of the instance, its series and its study.
        head: The data set up to the bulk, for what is no image.
    """
    if head is None:
        return dicom.Listed(file_id, instance.sop_class, instance.instance_uid, instance.syntax, values)
    return dicom.Listed.of_header(file_id, dicom.reopen(head, instance.syntax))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
