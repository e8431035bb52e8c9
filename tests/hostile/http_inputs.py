"""Costly and hostile requests: what a stranger, a reader or a sender can write, a megabyte at most."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.conformance import hostile

JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"
STUDY = "/dicomweb/studies/1.2.3"
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        family: What is tried, for the table.
        who: `stranger`, `reader` or `sender`.
    """

    family: str
    who: str
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


#: Values of header fields that cost more than they weigh somewhere, each for a length.
TYPES = {
    "semicolons in quotes": lambda n: 'a/b; x="' + ";" * n, "semicolons": lambda n: "a/b" + ";" * n,
    "parameters": lambda n: "a/b" + ";a=b" * (n // 4), "continuations": lambda n: "a/b" + "".join(
        f";x*{i}=a" for i in range(n // 7)), "escapes": lambda n: 'a/b;x="' + "\\" * n + '"',
    "ranges": lambda n: "a/b," * (n // 4), "commas": lambda n: "," * n, "spaces": lambda n: "a/b;" + " " * n + '"',
    "quotes": lambda n: '"' * n, "comments": lambda n: "(" * n, "qualities": lambda n: "a/b;q=0.1," * (n // 10),
    "encoded words": lambda n: "=?utf-8?q?" + "=41" * (n // 3) + "?=",
}  # fmt: skip
LENGTHS = (900, 7_500, 60_000)
NUMBERS = (
    "1" * 5_000, "9" * 18, "-1", "0", "1e999", "nan", "inf", "1_0", "%C2%B2", "%D9%A3", "0x10", "1" + "0" * 400, "1.5", "",
    "%00", "1;2", "+1", "0" * 3_000 + "1",
)  # fmt: skip
PATTERNS = (
    "*" * 500, "?" * 2_000, "*a" * 200, "a*" * 60, "%25" * 500, "\\".join(["x"] * 900), "A^" * 900, "%5B" * 300, "(a%2B)%2B" * 50,
    "-".join(["19700101"] * 40), "%F0%9F%92%A9" * 300, "'%3B drop table study%3B--", "{{7*7}}", "%0d%0aSet-Cookie: a=b",
    "../" * 300,
)  # fmt: skip
KEYS = ("PatientName", "PatientID", "StudyDate", "AccessionNumber", "StudyTime", "ModalitiesInStudy")


def heads() -> Iterator[Asked]:
    """Header fields, read by anybody's parser before anybody is known."""
    for name, made in TYPES.items():
        for length in LENGTHS:
            value = made(length)
            yield Asked(f"Accept: {name}", "stranger", "GET", STUDY + "/metadata", {"Accept": value})
            yield Asked(
                f"form type: {name}",
                "stranger",
                "POST",
                "/sign-in",
                {"Content-Type": "multipart/form-data" + value[3:]},
                b"x",
            )
            if length < 60_000:
                yield Asked(f"Accept of a reader: {name}", "reader", "GET", STUDY + "/rendered", {"Accept": value})
                yield Asked(
                    f"STOW type: {name}",
                    "sender",
                    "POST",
                    "/dicomweb/studies",
                    {"Content-Type": "multipart/related" + value[3:]},
                    b"x",
                )
    for length in LENGTHS:
        for name, value in (
            ("escapes", 'troth_session="' + "\\" * length + '"'), ("pairs", "a=b;" * (length // 4)), ("equals", "=" * length),
            ("octal", 'a="' + "\\101" * (length // 4) + '"'),
        ):  # fmt: skip
            yield Asked(f"Cookie: {name}", "stranger", "GET", "/", {"Cookie": value})
        yield Asked("If-None-Match", "reader", "GET", STUDY + "/metadata", {"If-None-Match": '"a",' * (length // 4)})
        yield Asked(
            "Range",
            "reader",
            "GET",
            STUDY + "/series/1.2/instances/1.3/bulkdata/7FE00010",
            {"Range": "bytes=" + "0-1," * (length // 4)},
        )
        yield Asked("bearer", "stranger", "GET", "/dicomweb/studies", {"Authorization": "Bearer " + "x" * length})
        yield Asked("purpose", "stranger", "GET", "/dicomweb/studies", {"Troth-Purpose": "x" * length})
        yield Asked("address", "stranger", "GET", "/" + "a/" * (length // 2))
        yield Asked("percent", "stranger", "GET", "/" + "%41" * (length // 3))
        yield Asked("query", "stranger", "GET", "/notice?" + "a=b&" * (length // 4))


def forms() -> Iterator[Asked]:
    """Forms of strangers, in both encodings."""
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    parts = {"Content-Type": "multipart/form-data; boundary=b"}
    for path in ("/sign-in", "/invitation", "/theme", "/recipients"):
        for name, body in (
            ("fields", b"&".join(b"a%d=1" % n for n in range(3_000))), ("long", b"email=" + b"x" * 900_000),
            ("percent", b"email=" + b"%41" * 5_000), ("ampersands", b"&" * 900_000), ("equals", b"=" * 16_000),
        ):  # fmt: skip
            yield Asked(f"form: {name}", "stranger", "POST", path, plain, body)
    for name, body in (
        ("no end", b"--b\r\n\r\n" + b"x" * 15_000), ("many", b"--b\r\n\r\n" * 1_500), ("dashes", b"\r\n--" * 4_000),
        ("headers", b"--b\r\n" + b"A: b\r\n" * 2_000), ("names", b'--b\r\nContent-Disposition: form-data; name="' + b"x" * 8_000),
        ("nested", b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" + b"--c\r\n\r\n" * 1_000),
    ):  # fmt: skip
        yield Asked(f"parts of a form: {name}", "stranger", "POST", "/sign-in", parts, body)


def numbers() -> Iterator[Asked]:
    """Numbers in addresses."""
    rendered = STUDY + "/series/1.2/instances/1.3/frames/{}/rendered"
    for number in NUMBERS:
        for path in (
            "/notice/versions/{}", "/notice/versions/{}/changes", "/scans/{}", "/api/changes?after={}&limit={}",
            "/dicomweb/studies?limit={}", "/dicomweb/studies?offset={}", rendered,
            STUDY + "/rendered?viewport={},{}", STUDY + "/rendered?window={},{}", STUDY + "/rendered?quality={}",
            "/dicomweb/wado?requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4&rows={}&frameNumber={}",
        ):  # fmt: skip
            yield Asked("numbers of an address", "reader", "GET", path.replace("{}", number))


def searches() -> Iterator[Asked]:
    """Search keys."""
    for pattern in PATTERNS:
        for key in KEYS:
            yield Asked(f"search by {key}", "reader", "GET", f"/dicomweb/studies?{key}={pattern}")
        yield Asked("includefield", "reader", "GET", f"/dicomweb/studies?includefield={pattern}")
        yield Asked("UID of a path", "reader", "GET", f"/dicomweb/studies/{pattern}/metadata")


def _json(dataset: object) -> bytes:
    return json.dumps(dataset).encode()


def _xml(inner: bytes) -> bytes:
    return b"<NativeDicomModel>" + inner + b"</NativeDicomModel>"


def _attribute(tag: int, vr: str, inner: bytes) -> bytes:
    return b'<DicomAttribute tag="%08X" vr="%s">' % (tag, vr.encode()) + inner + b"</DicomAttribute>"


def documents() -> Iterator[tuple[str, str, bytes]]:
    """Metadata that costs more than it weighs: name, media type, content."""
    yield (
        "600 numbers of 100,000",
        XML,
        _xml(b"".join(_attribute(0x00090000 + n, "CS", b'<Value number="100000">a</Value>') for n in range(600))),
    )
    yield (
        "a number of 5,000 figures",
        XML,
        _xml(_attribute(0x00080008, "CS", b'<Value number="' + b"9" * 5_000 + b'">a</Value>')),
    )
    yield (
        "a value of 5,000 figures",
        XML,
        _xml(_attribute(0x00200013, "IS", b'<Value number="1">' + b"9" * 5_000 + b"</Value>")),
    )
    yield "elements", XML, _xml(b"<a/>" * 250_000)
    yield "attributes", XML, b"<NativeDicomModel " + b"".join(b'a%d="" ' % n for n in range(100_000)) + b"/>"
    yield "namespaces", XML, b"<NativeDicomModel " + b"".join(b'xmlns:a%d="b" ' % n for n in range(50_000)) + b"/>"
    yield "one long name", XML, b"<" + b"a" * 900_000 + b"/>"
    yield "depth", XML, b"<a>" * 150_000
    yield "entities", XML, b'<!DOCTYPE a [<!ENTITY b "' + b"c" * 1_000 + b'">]><a>' + b"&b;" * 10_000 + b"</a>"
    yield "external entity", XML, b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    yield (
        "entities in UTF-16",
        XML,
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
    )
    yield "CDATA", XML, _xml(b"<![CDATA[" + b"]" * 900_000 + b"]]>")
    yield "comments", XML, _xml(b"<!---->" * 120_000)
    yield (
        "items",
        XML,
        _xml(_attribute(0x00400275, "SQ", b"".join(b'<Item number="%d"/>' % n for n in range(1, 40_000)))),
    )
    yield (
        "names",
        XML,
        _xml(_attribute(0x00100010, "PN", b'<PersonName number="1">' + b"<Alphabetic/>" * 60_000 + b"</PersonName>")),
    )
    yield "not closed", XML, _xml(b"<a>" * 10)[:-5]
    yield "empty instances", JSON, b"[" + b"{}," * 19_998 + b"{}]"
    yield "300,000 empty instances", JSON, b"[" + b"{}," * 300_000 + b"{}]"
    yield "depth of lists", JSON, b"[" * 500_000
    yield "depth of objects", JSON, b'{"a":' * 100_000
    yield "keys", JSON, b"{" + b",".join(b'"%08X":{}' % n for n in range(0x00090000, 0x00090000 + 60_000)) + b"}"
    yield "one key many times", JSON, b"{" + b'"00080018":{},' * 60_000 + b'"00080018":{}}'
    yield "values", JSON, b'{"00080008":{"vr":"CS","Value":[' + b"0," * 450_000 + b"0]}}"
    yield "numbers", JSON, b'{"00280010":{"vr":"US","Value":[' + b"1," * 400_000 + b"1]}}"
    yield "a number of 900,000 figures", JSON, b'{"00200013":{"vr":"IS","Value":[' + b"9" * 900_000 + b"]}}"
    yield "a number of 4,000 figures", JSON, b'{"00200013":{"vr":"IS","Value":[' + b"9" * 4_000 + b"]}}"
    yield "numbers with exponents", JSON, b'{"00201041":{"vr":"DS","Value":[' + b"1e308," * 100_000 + b"1e999]}}"
    yield "not a number", JSON, b'{"00201041":{"vr":"DS","Value":[NaN,Infinity]}}'
    yield "escapes", JSON, b'{"00100010":{"vr":"LO","Value":["' + b"\\u0041" * 150_000 + b'"]}}'
    yield (
        "halves of characters",
        JSON,
        b'{"00080018":{"vr":"UI","Value":["\\ud800"]},"00100020":{"vr":"LO","Value":["\\udfff"]}}',
    )
    yield "sequences", JSON, _json({"00400275": {"vr": "SQ", "Value": [{}] * 50_000}})
    deep: object = {}
    for _ in range(300):
        deep = {"00400275": {"vr": "SQ", "Value": [deep]}}
    yield "depth of sequences", JSON, _json(deep)
    yield (
        "inline binary",
        JSON,
        _json({"00091001": {"vr": "OB", "InlineBinary": base64.b64encode(bytes(700_000)).decode()}}),
    )
    yield "inline binary that is none", JSON, b'{"00091001":{"vr":"OB","InlineBinary":"' + b"=" * 900_000 + b'"}}'
    yield (
        "values that never come",
        JSON,
        _json(
            [
                {"00080018": {"vr": "UI", "Value": [f"1.2.{n}"]}, "7FE00010": {"vr": "OW", "BulkDataURI": f"u{n}"}}
                for n in range(6_000)
            ]
        ),
    )
    yield (
        "one value for all",
        JSON,
        _json(
            [
                {"7FE00010": {"vr": "OW", "BulkDataURI": "u"}, "00080018": {"vr": "UI", "Value": [f"1.2.{n}"]}}
                for n in range(6_000)
            ]
        ),
    )
    yield (
        "many values of one",
        JSON,
        _json({f"0009{n:04X}": {"vr": "OB", "BulkDataURI": f"u{n}"} for n in range(0x1000, 0x4000)}),
    )
    yield "not UTF-8", JSON, b'{"\xff\xfe":1}'
    yield "nothing", JSON, b""
    yield "other roots", JSON, b"5"
    yield "byte order mark", JSON, b"\xef\xbb\xbf{}"


def metadata() -> Iterator[Asked]:
    """Metadata by STOW-RS, and the same as the body of a storage commitment."""
    for name, kind, content in documents():
        head = f"--b\r\nContent-Type: {kind}\r\n\r\n".encode()
        stow = {"Content-Type": f'multipart/related; type="{kind}"; boundary=b'}
        yield Asked(
            f"STOW metadata: {name}", "sender", "POST", "/dicomweb/studies", stow, head + content + b"\r\n--b--\r\n"
        )
        yield Asked(
            f"commitment: {name}",
            "sender",
            "POST",
            "/dicomweb/commitment-requests/1.2.3",
            {"Content-Type": kind},
            content,
        )
        yield Asked(f"metadata of a stranger: {name}", "stranger", "POST", "/dicomweb/studies", stow, head + content)


def _waiting(count: int) -> bytes:
    told = _json(
        [
            {"00080018": {"vr": "UI", "Value": [f"1.2.{n}"]}, "00420011": {"vr": "OB", "BulkDataURI": f"u{n}"}}
            for n in range(count)
        ]
    )
    parts = [f"--b\r\nContent-Type: {JSON}\r\n\r\n".encode() + told]
    parts += [f"--b\r\nContent-Type: {OCTETS}\r\nContent-Location: u{n}\r\n\r\n".encode() + b"x" for n in range(count)]
    return b"\r\n".join(parts) + b"\r\n--b--\r\n"


def messages() -> Iterator[Asked]:
    """Multipart messages."""
    dicom = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    told = {"Content-Type": f'multipart/related; type="{JSON}"; boundary=b'}
    yield Asked("values come one by one", "sender", "POST", "/dicomweb/studies", told, _waiting(4_000))
    yield Asked(
        "values of nobody",
        "sender",
        "POST",
        "/dicomweb/studies",
        told,
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Location: u\r\n\r\nx\r\n" * 10_000 + b"--b--",
    )
    for name, body in (
        ("20,000 parts", b"--b\r\n\r\nx\r\n" * 20_000 + b"--b--"), ("30,000 parts", b"--b\r\n\r\nx\r\n" * 30_000 + b"--b--"),
        ("no delimiter", b"x" * 1_000_000), ("almost delimiters", b"\r\n--a" * 200_000), ("delimiter begins", b"--b\r\n\r\n" + b"\r\n-" * 300_000),
        ("part headers", (b"--b\r\nContent-Type: a/b;x=\"" + b";" * 8_000 + b"\r\n\r\n\r\n") * 100 + b"--b--"),
        ("header fields", (b"--b\r\n" + b"A: b\r\n" * 1_300 + b"\r\n\r\n") * 100 + b"--b--"), ("header without end", b"--b\r\n" + b"A" * 900_000),
        ("transport padding", b"--b" + b" " * 900_000), ("empty", b""), ("ends at once", b"--b--"),
        ("types that nobody takes", b"--b\r\nContent-Type: x/y\r\n\r\nx\r\n" * 15_000 + b"--b--"),
    ):  # fmt: skip
        yield Asked(f"message: {name}", "sender", "POST", "/dicomweb/studies", dicom, body)
    packed = gzip.compress(bytes(300 << 20))
    yield Asked(
        "CVE class: gzip bomb as Content-Encoding (Orthanc)",
        "sender",
        "POST",
        "/dicomweb/studies",
        {**dicom, "Content-Encoding": "gzip"},
        packed,
    )
    whole = hostile.Hostile("good", hostile.dataset(), 0, "").file
    for name, front in (
        ("PE", b"MZ" + bytes(126)),
        ("ELF", b"\x7fELF" + bytes(124)),
        ("PDF", b"%PDF-1.4" + bytes(120)),
        ("HTML", b"<script>".ljust(128, b" ")),
    ):
        yield Asked(
            f"CVE class: preamble that is {name} (CVE-2019-11687), cut",
            "sender",
            "POST",
            "/dicomweb/studies",
            {"Content-Type": "application/dicom"},
            front + whole[128:-40],
        )
    for path in (
        "/viewer?url=http://192.0.2.1/x.json",
        "/viewer/dicomjson?url=http://192.0.2.1/x.json",
        "/viewer/dicomwebproxy?url=http://192.0.2.1",
    ):
        yield Asked("CVE class: url of a data source (OHIF, CVE-2026-12473)", "stranger", "GET", path)
    for path in (
        "/..%2f..%2fetc/passwd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/x/..%5c..%5cetc",
        "/dicomweb/studies/..%2f..%2f/metadata",
        "/dicomweb/studies/1.2/series/1.3/instances/%2fetc%2fpasswd",
    ):
        yield Asked("CVE class: paths that climb (Dicoogle, PACSOne, DICOMHawk)", "reader", "GET", path)


def every() -> Iterator[Asked]:
    """All of them."""
    for made in (heads, forms, numbers, searches, metadata, messages):
        yield from made()
