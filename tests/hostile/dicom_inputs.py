"""Costly and hostile instances and messages of the DICOM door."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from tests.common import dimse as wire
from tests.conformance.hostile import CT, DEFLATED, EXPLICIT, STUDY, Hostile, dataset, element, hostile_instances

JPEG, JPEG_2000, JPEG_LS, RLE = (
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5",
)  # fmt: skip


def instances() -> Iterator[Hostile]:
    """Instances to be refused, or taken for what they are. Some break one rule at random places."""
    yield from hostile_instances()
    whole = dataset()
    chance = random.Random(9)
    for number in range(40):
        broken = bytearray(whole)
        for _ in range(3):
            broken[chance.randrange(len(broken) - 520)] = chance.randrange(256)
        yield Hostile(f"bytes changed {number}", bytes(broken)[: len(broken) - 10], 0xC000, "")
    for number in (60_000, 140_000):
        small = element(0x00090010, "LO", b"") * number
        yield Hostile(f"{number:,} elements, cut", dataset(small[: 1 << 20])[:-9], 0xC000, "")


def deflated(body: bytes) -> bytes:
    """As a deflated data set is written."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _us(tag: int, value: int) -> bytes:
    return element(tag, "US", struct.pack("<H", value))


def _image(name: str, pixels: bytes, number: int, *, rows: int, columns: int, bits: int = 8, samples: int = 1,
           kind: bytes = b"MONOCHROME2", syntax: str = EXPLICIT, frames: int = 1, more: bytes = b"",
           late: bytes = b"") -> Hostile:  # fmt: skip
    uid = f"{STUDY}.9.{number}"
    body = b"".join(
        [
            element(0x00080016, "UI", CT.encode()), element(0x00080018, "UI", uid.encode()), element(0x00080060, "CS", b"OT"),
            element(0x00100010, "PN", b"Hostile^Picture"), element(0x00100020, "LO", b"HOSTILE-2"),
            element(0x0020000D, "UI", (STUDY + ".9").encode()), element(0x0020000E, "UI", (STUDY + ".9.0").encode()),
            _us(0x00280002, samples), element(0x00280004, "CS", kind),
            _us(0x00280006, 0) if samples > 1 else b"",
            element(0x00280008, "IS", str(frames).encode()), _us(0x00280010, rows), _us(0x00280011, columns),
            _us(0x00280100, bits), _us(0x00280101, bits), _us(0x00280102, bits - 1), _us(0x00280103, 0), more, late, pixels,
        ]
    )  # fmt: skip
    return Hostile(name, deflated(body) if syntax == DEFLATED else body, 0, "", syntax, uid)


def _native(size: int) -> bytes:
    """Pixels that deflate by eighty to one, which is less than what is taken for a bomb."""
    chance = random.Random(size)
    some = b"".join(chance.randbytes(85) + bytes(8192 - 85) for _ in range(64))
    return element(0x7FE00010, "OW", b"", length=size) + (some * (size // len(some) + 1))[:size]


def _encapsulated(*frames: bytes) -> bytes:
    front = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + b"\xfe\xff\x00\xe0" + bytes(4)
    items = b"".join(
        b"\xfe\xff\x00\xe0" + struct.pack("<L", len(one) + len(one) % 2) + one + bytes(len(one) % 2) for one in frames
    )
    return front + items + b"\xfe\xff\xdd\xe0" + bytes(4)


def _jpeg(rows: int, columns: int, claimed: tuple[int, int] | None = None) -> bytes:
    written = BytesIO()
    Image.new("L", (columns, rows), 90).save(written, "JPEG")
    content = bytearray(written.getvalue())
    if claimed:
        at = content.index(b"\xff\xc0")
        content[at + 5 : at + 9] = struct.pack(">HH", *claimed)
    return bytes(content)


def _j2k(rows: int, columns: int) -> bytes:
    """A header of JPEG 2000 that promises much, and noise behind it."""
    written = BytesIO()
    Image.new("L", (64, 64), 90).save(written, "JPEG2000")
    content = bytearray(written.getvalue())
    at = content.index(b"\xff\x4f\xff\x51")
    for place, value in ((8, columns), (12, rows), (24, columns), (28, rows)):
        content[at + place : at + place + 4] = struct.pack(">L", value)
    return bytes(content[at:])


def _rle(rows: int, columns: int, segments: int = 1, run: bytes = b"\x81\0") -> bytes:
    body = run * (rows * columns // 128 + 2)
    offsets = [64] * segments + [0] * (15 - segments)
    return struct.pack("<L15L", segments, *offsets) + body


def pictures() -> Iterator[Hostile]:
    """Small files with large pictures, or with tables and sizes that contradict themselves."""
    number = iter(range(1, 1_000))
    large = (
        ("8 bit", 8192, 8192, 8, 1, b"MONOCHROME2"), ("16 bit", 6000, 6000, 16, 1, b"MONOCHROME2"),
        ("32 bit", 4300, 4300, 32, 1, b"MONOCHROME2"), ("RGB", 4900, 4900, 8, 3, b"RGB"),
        ("YBR", 4900, 4900, 8, 3, b"YBR_FULL"), ("RGB of 16 bit", 3500, 3500, 16, 3, b"RGB"),
        ("1 bit", 32000, 16000, 1, 1, b"MONOCHROME2"), ("1 bit", 8000, 8000, 1, 1, b"MONOCHROME2"),
    )  # fmt: skip
    for name, rows, columns, bits, samples, kind in large:
        size = rows * columns * samples * bits // 8
        yield _image(f"deflated {name} {rows}x{columns}", _native(size), next(number), rows=rows, columns=columns,
                     bits=bits, samples=samples, kind=kind, syntax=DEFLATED)  # fmt: skip
    for side in (8000, 30_000, 65_535):
        for name, frame, syntax in (
            ("JPEG", _jpeg(16, 16, (side, side)), JPEG),
            ("JPEG 2000", _j2k(side, side), JPEG_2000),
        ):
            yield _image(
                f"{name} said to be {side}x{side}",
                _encapsulated(frame),
                next(number),
                rows=side,
                columns=side,
                syntax=syntax,
            )
    yield _image(
        "RLE of runs 8000x8000", _encapsulated(_rle(8000, 8000)), next(number), rows=8000, columns=8000, syntax=RLE
    )
    yield _image(
        "RLE of no-ops",
        _encapsulated(_rle(1024, 1024, run=b"\x80\x80")),
        next(number),
        rows=1024,
        columns=1024,
        syntax=RLE,
    )
    yield _image(
        "RLE offsets outside",
        _encapsulated(struct.pack("<L15L", 1, 0xFFFFFFF0, *[0] * 14) + b"x" * 64),
        next(number),
        rows=64,
        columns=64,
        syntax=RLE,
    )
    jls = (
        b"\xff\xd8\xff\xf7\x00\x0b\x08"
        + struct.pack(">HH", 65535, 65535)
        + b"\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"
        + bytes(500)
    )
    yield _image(
        "JPEG-LS said to be 65535x65535", _encapsulated(jls), next(number), rows=65535, columns=65535, syntax=JPEG_LS
    )
    jls_small = jls.replace(struct.pack(">HH", 65535, 65535), struct.pack(">HH", 64, 64))
    yield _image(
        "JPEG-LS of noise (fo-dicom.Codecs)",
        _encapsulated(jls_small),
        next(number),
        rows=64,
        columns=64,
        syntax=JPEG_LS,
    )
    chance = random.Random(7)
    for at in range(12):
        for name, whole, syntax in (("JPEG", _jpeg(64, 64), JPEG), ("JPEG 2000", _j2k(64, 64), JPEG_2000)):
            broken = bytearray(whole)
            for _ in range(4):
                broken[chance.randrange(20, len(broken))] = chance.randrange(256)
            yield _image(
                f"CVE class: {name} with bytes changed {at} (codecs)",
                _encapsulated(bytes(broken)),
                next(number),
                rows=64,
                columns=64,
                syntax=syntax,
            )
    table = (
        element(0x00281101, "US", struct.pack("<3H", 4, 0, 16))
        + element(0x00281102, "US", struct.pack("<3H", 4, 0, 16))
        + element(0x00281103, "US", struct.pack("<3H", 4, 0, 16))
    )
    entries = b"".join(element(tag, "OW", bytes(8)) for tag in (0x00281201, 0x00281202, 0x00281203))
    pixels = element(0x7FE00010, "OW", b"\xff" * 4096)
    yield _image(
        "CVE class: palette index beyond its table (Orthanc LUT)",
        pixels,
        next(number),
        rows=64,
        columns=64,
        kind=b"PALETTE COLOR",
        more=table,
        late=entries,
    )
    yield _image(
        "CVE class: palette that is said to be larger (Orthanc PALETTE)",
        pixels,
        next(number),
        rows=64,
        columns=64,
        kind=b"PALETTE COLOR",
        more=table.replace(struct.pack("<3H", 4, 0, 16), struct.pack("<3H", 0, 65535, 255)),
        late=entries,
    )
    yield _image(
        "CVE class: palette without tables (Orthanc PAM)",
        pixels,
        next(number),
        rows=64,
        columns=64,
        kind=b"PALETTE COLOR",
    )
    philips = element(0x07A10010, "LO", b"ELSCINT1") + element(0x07A11011, "CS", b"PMSCT_RLE1")
    packed = element(0x7FE00010, "OB", b"\x5a\xff" * 600)
    yield _image(
        "CVE class: private compression (Orthanc, Philips)", packed, next(number), rows=64, columns=64, late=philips
    )
    yield _image(
        "window of no width",
        pixels,
        next(number),
        rows=64,
        columns=64,
        late=element(0x00281050, "DS", b"1e308") + element(0x00281051, "DS", b"0"),
    )
    yield _image(
        "slope that is endless",
        pixels,
        next(number),
        rows=64,
        columns=64,
        late=element(0x00281052, "DS", b"1e308") + element(0x00281053, "DS", b"1e308"),
    )
    yield _image("frames that are not there", pixels, next(number), rows=64, columns=64, frames=2_000_000_000)
    yield _image("many frames", _native(64 * 64 * 250), next(number), rows=64, columns=64, frames=250, syntax=DEFLATED)


def wide_rows() -> Hostile:
    """Rows and Columns written as 32-bit numbers (Orthanc: integer overflow)."""
    rows = element(0x00280010, "UL", struct.pack("<L", 0x10001)) + element(
        0x00280011, "UL", struct.pack("<L", 0xFFFF0001)
    )
    body = dataset()
    start = body.index(struct.pack("<HH", 0x0028, 0x0010))
    return Hostile(
        "CVE class: Rows and Columns of 32 bits (Orthanc, overflow)", body[:start] + rows + body[start + 20 :], 0, ""
    )


def of_strangers() -> Iterator[tuple[str, bytes]]:
    """Bytes on a new connection of the DICOM listener."""
    for kind in range(12):
        for length in (0, 1, 0xFFFFFFFF):
            yield f"PDU {kind} of {length:,}", struct.pack(">BxI", kind, length) + bytes(2_000)
    yield (
        "CVE class: PDU length without association (pynetdicom #1086)",
        struct.pack(">BxI", 1, 0x40000000) + bytes(900_000),
    )
    many = b"".join(wire.context(1 + 2 * (n % 127), CT, [EXPLICIT]) for n in range(900))
    yield "900 presentation contexts", wire.associate_request(contexts=many)[:1_000_000]
    syntaxes = wire.context(1, CT, [EXPLICIT] * 2_000)
    yield "2,000 transfer syntaxes", wire.associate_request(contexts=syntaxes)
    yield "items of no length", wire.associate_request(contexts=b"\x20\0\0\0" * 10_000)
    yield "user items", wire.associate_request(more=wire.item(0x56, b"x" * 100) * 500)
    for title in ("../../etc/passwd", "..\\..\\x", "\x1b]0;x\x07", "*", "%s%n", "' or 1=1--", "A" * 16, "\x00" * 16):
        yield (
            f"CVE class: AE title {title!r} (DCMTK, worklist area)",
            wire.associate_request(called=title[:16], calling=title[:16]),
        )
    yield "noise", random.Random(3).randbytes(1_000_000)
    yield "HTTP", b"GET / HTTP/1.1\r\n" * 50_000


def of_peers() -> Iterator[tuple[str, bytes]]:
    """Bytes inside an association of a registered machine."""
    yield "command that never ends", b"".join(wire.data(wire.pdv(3, 1, bytes(15_000))) for _ in range(60))
    yield "values of 4 GB", wire.data(struct.pack(">IBB", 0xFFFFFFFF, 3, 3) + bytes(64))
    yield "100,000 empty values", b"".join(wire.data(*[wire.pdv(3, 1, b"")] * 100) for _ in range(500))
    yield "data without command", wire.data(wire.pdv(3, 0, bytes(10_000))) * 20
    yield "unknown context", wire.data(wire.pdv(99, 3, wire.echo_command()))
    for field in (0x20, 0x21, 0x10, 0x130, 0x140, 0x150, 0x100, 0xFFF, 0x8001, 0x8030):
        yield f"operation {field:04X}", wire.data(wire.pdv(1, 3, wire.store_command(field=field, dataset=0x101)))
    for uid in ("../../../../tmp/x", "/etc/passwd", "1.2.3\0.4", "1." * 40, "\x1b[2J", "..\\x"):
        body = wire.data(wire.pdv(3, 3, wire.store_command(uid))) + wire.data(
            wire.pdv(3, 2, b"\x08\0\x16\0UI\x02\x001.")
        )
        yield f"CVE class: C-STORE of {uid!r} (DCMTK C-GET, DICOMHawk, Orthanc)", body
    yield "command group of noise", wire.data(wire.pdv(1, 3, random.Random(5).randbytes(12_000)))
    yield "command lengths", wire.data(wire.pdv(1, 3, struct.pack("<HHI", 0, 2, 0xFFFFFFF0) * 1_000))
