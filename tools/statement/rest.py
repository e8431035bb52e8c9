"""Media, character sets, security, identifiers: what belongs to no single service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.statement.model import Fact, Table
from troth import dicom
from troth.dicom import dicomdir, text
from troth.doors.dimse import pdu, tls
from troth.main.settings import Settings


def identifiers() -> Table:
    """How we name ourselves."""
    rows = (
        ("implementation class UID, network", f"`{pdu.IMPLEMENTATION_CLASS}`"),
        ("implementation version name, network", f"`{pdu.IMPLEMENTATION_VERSION}`"),
        ("implementation class UID, files", f"`{dicom.IMPLEMENTATION_UID}`"),
        ("implementation version name, files", f"`{dicom.IMPLEMENTATION_VERSION}`"),
    )
    return Table("Implementation identifiers", ("what", "value"), _facts("identifier", rows))


def configuration() -> Table:
    """Where it listens until told otherwise."""
    usual = Settings(Path())
    rows = tuple((name, f"`{getattr(usual, name)}`") for name in ("ae", "dicom", "http", "viewer"))
    return Table("Settings", ("setting", "until told otherwise"), _facts("setting", rows))


def charsets() -> Table:
    """Specific Character Sets that are read."""
    rows = tuple(
        Fact(f"charset {term}", (f"`{term}`" if term else "none (ISO-IR 6)", codec))
        for term, codec in text._CODECS.items()
    )
    return Table(
        "Specific Character Set (0008,0005)", ("defined term", "read as"), rows,
        "What is kept keeps its own character set. Answers to searches, DICOM JSON and XML are in UTF-8 "
        "(`ISO_IR 192`). Bytes that a set does not have become U+FFFD; they never stop an instance.",
    )  # fmt: skip


def security() -> Table:
    """Associations and requests."""
    rows = (
        ("TLS", f"1.2 or later, `{tls._CIPHERS}`; both sides show a certificate (PS3.15 B.12)"),
        ("certificate", "a peer is its AE title and the SHA-256 of its certificate; registered with one, it is never "
         "taken without"),
        ("renewed certificate", "is shown without a restart"),
        ("address", "without TLS a peer is its AE title and the address it calls from"),
        ("plain beyond loopback", "does not start unless `dicom_plain` is `allowed`, and then says so"),
        ("web sessions", "a session cookie or a bearer token; a page of another origin cannot use a session (403)"),
        ("decision", "each search, store and retrieval is decided by the notice, again every second while it lasts"),
        ("ledger", "what was shown, stored, sent and refused, and to whom, is durable before the first byte leaves"),
        ("tenants", "another organisation's instances are absent, whatever their UIDs"),
    )  # fmt: skip
    return Table("Security", ("what", "how"), _facts("security", rows))


def media() -> Table:
    """Files on media."""
    rows = (
        ("FSC", f"DICOMDIR (`{dicomdir.DIRECTORY_CLASS}`), `DICOM/ST000001/SE000001/IM000001`, `INDEX.HTM`, "
         "`README.TXT`; a folder or a zip (PS3.10 8, PS3.12 V; IHE PDI)"),
        ("FSR", "a folder, a DICOMDIR or a zip; what is bad is named and stops nothing else"),
        ("files", "each data set bit for bit as it was stored, in the transfer syntax that is held; so the profile is "
         "that of PS3.11 only where the transfer syntax is the profile's"),
        ("preamble", "128 zero bytes, whatever came: nothing that hides there leaves again (PS3.10 7.5)"),
    )  # fmt: skip
    return Table("Media interchange", ("role", "what"), _facts("media", rows))


def attributes() -> Table:
    """What is changed in an instance."""
    rows = (
        ("on the way in", "nothing: every element is kept as it came, private ones and group lengths "
         "among them"),
        ("correction", "Original Attributes Sequence (0400,0561) with previous values, time, system and reason "
         "(CORRECT, COERCE); every other byte as it was (PS3.3 C.12.1.1.9)"),
        ("on the way out", "nothing but the transfer syntax, where the receiver does not take the one that is held"),
    )  # fmt: skip
    return Table("Attributes", ("when", "what is changed"), _facts("attributes", rows))


def clients() -> Table:
    """Other makers' programs that the tests run."""
    rows = (
        ("dicomweb-client", "store, search, metadata, instances, frames, bulk values, rendered, of every real file"),
        ("dcmtk", "echoscu, storescu, dcmsend, findscu, movescu, getscu, storescp, dcmdump"),
        ("pynetdicom", "C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET, N-ACTION, N-EVENT-REPORT"),
        ("Orthanc", "sends, asks for a commitment, searches, has us send to it; the same pixels come back"),
        ("dciodvfy", "finds in what comes out only what it found in what went in"),
        ("OHIF", "opens real files of each modality and transfer syntax in Chromium: an image on the canvas, no error "
         "in the console"),
        ("real files", "those of the packages `pydicom`, `pydicom-data` and `deid-data` (MIT): the same data set and "
         "pixels come out"),
    )  # fmt: skip
    return Table("Programs of others, run against a real node", ("program", "what it does"), _facts("client", rows))


def _facts(kind: str, rows: Sequence[tuple[str, str]]) -> tuple[Fact, ...]:
    return tuple(Fact(f"{kind} {what}", (what, how)) for what, how in rows)
