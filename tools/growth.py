"""Fuzzing for time: `make fuzz TARGET=time`. Which reader of a stranger's bytes takes more than its share as they grow?

Each reader is given pieces repeated, and pieces found by chance, at a length and at four times that length. What takes
more than twice as long per byte at the greater length, and is not over in a hundredth of a second, is reported. Time of
the processor is measured, the least of three runs, so a busy machine does not matter much.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from starlette.requests import Request

from troth import dicom
from troth.archive import matching
from troth.dicom import metadata_in
from troth.doors import media_types
from troth.doors.cookies import cookie
from troth.doors.dicomweb import native_xml, ranges
from troth.doors.dimse import command, pdu
from troth.doors.multipart import PartReader
from troth.doors.web import forms
from troth.kit import numbers
from troth.kit.errors import TrothError

SHORT, LONG = 8 << 10, 32 << 10
MOST_PER_BYTE = 2.0
LEAST_SECONDS = 0.01
ALPHABET = [
    b";", b",", b'"', b"\\", b"=", b" ", b"a", b"*", b"?", b"%", b"/", b":", b"-", b"\r\n", b"--b", b"\r\n--b",
    b"{", b"}", b"[", b"]", b"<a>", b"</a>", b"<a/>", b"&", b"^", b"\x1b$B", b"\x00", b"\xff", b"\xfe\xff\x00\xe0",
    b"9", b".", b"(", b")", b"q=0.1", b"SQ", b"\x08\x00\x16\x00UI\x02\x001.", b"\x20\0\0\4", b"1.2", b"\xc3\xa4",
    b"=?utf-8?q?",
]  # fmt: skip


def _cookie(content: bytes) -> None:
    cookie(Request({"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", content)]}), "troth_session")


def _parts(content: bytes) -> None:
    reader = PartReader("b")
    for at in range(0, len(content), 1_000):
        for _ in reader.feed(content[at : at + 1_000]):
            pass


def _scanned(content: bytes) -> None:
    reader = dicom.Scanner("1.2.840.10008.1.2.1")
    for at in range(0, len(content), 4_000):
        reader.feed(content[at : at + 4_000])
        reader.take_bulk()
    reader.finish()


def _searched(content: bytes) -> None:
    for tag in (0x00100010, 0x00100020, 0x00080020, 0x00080030, 0x00201209):
        with suppress(TrothError):
            rule = matching.matcher(tag, content.decode("latin-1"))
            for stored in ("", "a" * 64, "AAAA^A", content[:64].decode("latin-1"), "1.2.3"):
                rule(stored)


def _text(content: bytes) -> None:
    for charset in (b"", b"ISO_IR 192", b"\\ISO 2022 IR 87", b"ISO 2022 IR 6\\ISO 2022 IR 149", b"GB18030"):
        head = (
            b"\x08\0\x05\0CS"
            + len(charset + b" " * (len(charset) & 1)).to_bytes(2, "little")
            + charset
            + b" " * (len(charset) & 1)
        )
        value = content[:0xFFFE]
        dicom.to_json(head + b"\x10\0\x10\0PN" + len(value).to_bytes(2, "little") + value, "1.2.840.10008.1.2.1")


READERS: dict[str, Callable[[bytes], object]] = {
    "media type": lambda content: media_types.read(content.decode("latin-1")[: media_types.MOST_CHARACTERS]),
    "list of media types": lambda content: media_types.read_list(content.decode("latin-1")),
    "cookie": _cookie,
    "parts of a message": _parts,
    "form": forms._pairs,
    "form with a file": lambda content: forms._parts("multipart/form-data; boundary=b", content),
    "number": lambda content: (
        numbers.whole(content.decode("latin-1"), most=9),
        numbers.decimal(content.decode("latin-1")),
    ),
    "range": lambda content: ranges.asked("bytes=" + content.decode("latin-1"), 100),
    "metadata in JSON": lambda content: metadata_in.read(content, is_xml=False),
    "metadata in XML": lambda content: metadata_in.read(content, is_xml=True),
    "value in JSON": lambda content: metadata_in.read(
        b'{"00100010":{"vr":"LO","Value":["' + content + b'"]}}', is_xml=False
    ),
    "instance": _scanned,
    "identifier of a search": lambda content: dicom.read_plain(content, "1.2.840.10008.1.2.1"),
    "text": _text,
    "search key": _searched,
    "association request": pdu.parse_associate_request,
    "command set": command.parse,
    "XML that is written": lambda content: native_xml.to_xml(
        {"00100020": {"vr": "LO", "Value": [content.decode("latin-1")]}}
    ),
}


def contents(seed: int, count: int) -> Iterator[Callable[[int], bytes]]:
    """Makers of contents of any length: one piece repeated, two in turn, or pieces by chance."""
    chance = random.Random(seed)

    def repeated(front: bytes, piece: bytes, back: bytes) -> Callable[[int], bytes]:
        return lambda length: front + (piece * (length // max(len(piece), 1) + 1))[:length] + back

    for piece in ALPHABET:
        yield repeated(b"", piece, b"")
        yield repeated(b"--b\r\n", piece, b"\r\n--b--")
        yield repeated(b'a/b;x="', piece, b"")
    for _ in range(count):
        pieces = [chance.choice(ALPHABET) for _ in range(chance.randint(2, 6))]
        yield repeated(
            chance.choice((b"", b"--b\r\n", b"[", b"a/b;")), b"".join(pieces), chance.choice((b"", b'"', b"]"))
        )


def seconds_of(reader: Callable[[bytes], object], content: bytes) -> float:
    """Processor time of one reading, the least of three."""
    least = float("inf")
    for _ in range(3):
        began = time.process_time()
        with suppress(TrothError):
            reader(content)
        least = min(least, time.process_time() - began)
    return least


def calls_of(reader: Callable[[bytes], object], content: bytes) -> int:
    """How many calls one reading takes: a measure that no busy machine moves."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        with suppress(TrothError):
            reader(content)
    finally:
        sys.setprofile(None)
    return count


def main() -> int:
    """Try every reader; 1 where one takes more than its share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", default="time")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    found = 0
    for name, reader in READERS.items():
        worst, most = 0.0, 0.0
        for made in contents(asked.seed, min(asked.runs, 2_000)):
            short, long = made(SHORT), made(LONG)
            long_seconds = seconds_of(reader, long)
            most = max(most, long_seconds / len(long))
            if long_seconds < LEAST_SECONDS:
                continue
            growth = (long_seconds / len(long)) / max(seconds_of(reader, short) / len(short), 1e-9)
            worst = max(worst, growth)
            if growth > MOST_PER_BYTE:
                found += 1
                print(f"{name}: {growth:.1f} times as long per byte, {long_seconds:.3f} s: {long[:40]!r}…")
        print(f"{name:24} {most * 1e9:8.0f} ns a byte at most; grew {worst:.2f} times")
    return found > 0


if __name__ == "__main__":
    raise SystemExit(main())
