"""Files that are to be brought in, out of a folder, a DICOMDIR or a zip: found without trusting any of them.

Names in a zip or a DICOMDIR are never used as paths to write to, and never lead out of where they stand; links, pipes
and devices are refused; a zip that unpacks to much more than it holds is refused before it is unpacked.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

from troth import dicom
from troth.archive.errors import SourceRefused
from troth.kit.errors import BadInput

_MOST_ENTRIES: Final = 200_000
_LARGE_BYTES: Final = 64 << 20
_MOST_RATIO: Final = 200
_DIRECTORY_NAME: Final = "DICOMDIR"
UNREADABLE: Final = (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError)
"""What reading a file raises that is broken, or that a zip holds encrypted or packed in a way that is not known."""


@dataclass(frozen=True, slots=True)
class Found:
    """One file.

    Attributes:
        name: For people at the terminal; may be personal, so it is never kept.
        mark: What makes it this file: where it lies, its length, when it changed.
        length_bytes: As it is said to be.
        open: Opens it for reading; the caller closes it.
        refused: Why it is not opened; empty if it may be.
    """

    name: str
    mark: str
    length_bytes: int
    open: Callable[[], IO[bytes]] = field(repr=False)
    refused: str = ""


def files_of(place: Path) -> Iterator[Found]:
    """The files of a folder, of the file set of a DICOMDIR, of a zip, or one file.

    Args:
        place: Where they are.

    Raises:
        SourceRefused: There is nothing there that could be read, or the zip is a trap.
    """
    if place.is_dir():
        return _of_folder(place)
    if not place.is_file():
        raise SourceRefused(f"{place} is neither a folder nor a file")
    if place.name.upper() == _DIRECTORY_NAME:
        return _of_directory(place)
    if not _is_dicom(place) and zipfile.is_zipfile(place):
        return _of_zip(place)
    return iter([_file(place, place.name)])


def _is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does (PS3.10 7.1); a zip that stands behind it is then what was hidden there."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _of_folder(folder: Path) -> Iterator[Found]:
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.name.upper() != _DIRECTORY_NAME:
                yield _file(path, str(path.relative_to(folder)))
            elif entry.is_file(follow_symlinks=False):
                yield from _missing(path, path.parent.relative_to(folder))


def _missing(directory: Path, place: Path) -> Iterator[Found]:
    """What a DICOMDIR lists and is not there; what is there is found beside it. One that is broken lists nothing."""
    with suppress(SourceRefused):
        for one in _of_directory(directory):
            if not one.mark:
                yield replace(one, name=_shown(str(place / one.name)))


def _file(path: Path, name: str) -> Found:
    state = path.lstat()
    refused = ""
    if stat.S_ISLNK(state.st_mode):
        refused = "a link, which may lead anywhere"
    elif not stat.S_ISREG(state.st_mode):
        refused = "not a plain file"

    def opened() -> IO[bytes]:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise SourceRefused("not a plain file")
        return os.fdopen(fd, "rb")

    # Names are bytes, and those of old discs are not always text.
    place = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
    mark = f"{place}|{state.st_size}|{state.st_mtime_ns}"
    return Found(_shown(name), mark, state.st_size, opened, refused)


def _shown(name: str) -> str:
    """A name for a terminal: nothing in it moves the cursor or turns the line round, and all of it can be written."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _of_directory(path: Path) -> Iterator[Found]:
    """The files that a DICOMDIR lists; one that would lead out of its folder is refused. Per: DICOM PS3.10 8.6."""
    if path.stat().st_size > dicom.DICOMDIR_BYTES:
        raise SourceRefused("the DICOMDIR is too large", hint="Import the folder instead.")
    try:
        listed = dicom.referenced_files(path.read_bytes())
    except (BadInput, OSError) as fault:
        raise SourceRefused("the DICOMDIR cannot be read", hint="Import the folder instead.") from fault
    root = path.parent.resolve()
    for components in listed:
        file = None if _leads_out(components) else _in_any_case(root, components)
        if file is None or not file.resolve().is_relative_to(root):
            yield _absent(components)
        else:
            yield _file(file, "/".join(components))


def _leads_out(components: list[str]) -> bool:
    return any(part in ("", ".", "..") or "/" in part or "\0" in part for part in components)


def _absent(components: list[str], place: str = "") -> Found:
    out, gone = "its name in the DICOMDIR leads out of the folder", "listed in the DICOMDIR, but not there"
    return Found(_shown(place + "/".join(components)), "", 0, _closed, out if _leads_out(components) else gone)


def _in_any_case(root: Path, components: list[str]) -> Path | None:
    """A listed file, also where the medium was copied with lower-case names."""
    for names in (components, [part.lower() for part in components]):
        path = root.joinpath(*names)
        with suppress(OSError):
            if path.is_file():
                return path
    return None


def _of_zip(path: Path) -> Iterator[Found]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as fault:
        raise SourceRefused("the zip cannot be read") from fault
    # Not closed here: files of the last batch are read after this has come to its end.
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise SourceRefused(f"the zip holds more than {_MOST_ENTRIES:,} files")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(_LARGE_BYTES, _MOST_RATIO * path.stat().st_size):
        raise SourceRefused("the zip unpacks to far more than it holds; nothing was read")
    state = path.stat()
    where = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
    names = {entry.filename for entry in entries}
    for entry in entries:
        if not entry.is_dir() and Path(entry.filename).name.upper() == _DIRECTORY_NAME:
            yield from _missing_in_zip(archive, entry, names)
        elif not entry.is_dir():
            mark = f"{where}|{state.st_mtime_ns}|{entry.header_offset}|{entry.CRC}|{entry.file_size}"
            yield Found(_shown(entry.filename), mark, entry.file_size, _opener(archive, entry), _fault_of(entry))


def _missing_in_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, names: set[str]) -> Iterator[Found]:
    """As `_missing`, of a DICOMDIR in a zip."""
    if _fault_of(entry) or entry.file_size > dicom.DICOMDIR_BYTES:
        return
    try:
        listed = dicom.referenced_files(archive.read(entry))
    except (BadInput, *UNREADABLE):
        return
    place = entry.filename[: -len(_DIRECTORY_NAME)]
    for components in listed:
        name = "/".join(components)
        if _leads_out(components) or names.isdisjoint({place + name, place + name.lower()}):
            yield _absent(components, place)


def _opener(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(entry)


def _fault_of(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & 0x1:
        return "encrypted"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link, which may lead anywhere"
    if entry.file_size > max(_LARGE_BYTES, _MOST_RATIO * max(entry.compress_size, 1)):
        return "unpacks to far more than it holds"
    return ""


def _closed() -> IO[bytes]:
    raise SourceRefused("refused")
