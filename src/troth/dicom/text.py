"""Text of a data set: bytes to `str` under Specific Character Set (DICOM PS3.5 6.1, PS3.3 C.12.1.1.2)."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

_FALLBACK = "iso8859-1"
_TEXT_DELIMITERS = {0x0A, 0x0C, 0x0D, 0x09, 0x5C}
_NAME_DELIMITERS = {0x5E, 0x3D, 0x5C}
_ESCAPE = b"\x1b"
_LATIN_9 = "iso8859_15"
_TO_LATIN_9 = re.compile(rb"\x1b-b([^\x1b]*)")  # newer than pydicom, which takes it for Latin 1
_LEFT_BEHIND = "\x1b$)A"  # of ISO 2022 IR 58: pydicom leaves it to Python, whose codec leaves it in the text


_SINGLE_BYTE = {
    6: "iso8859", 13: "shift_jis", 100: "latin_1", 101: "iso8859_2", 109: "iso8859_3", 110: "iso8859_4",
    203: _LATIN_9,
    126: "iso_ir_126", 127: "iso_ir_127", 138: "iso_ir_138", 144: "iso_ir_144", 148: "iso_ir_148", 166: "iso_ir_166",
}  # fmt: skip
_CODECS = {
    "": "iso8859",
    **{f"ISO_IR {number}": codec for number, codec in _SINGLE_BYTE.items()},
    **{f"ISO 2022 IR {number}": codec for number, codec in _SINGLE_BYTE.items()},
    "ISO 2022 IR 58": "iso_ir_58", "ISO 2022 58": "GB2312", "ISO 2022 IR 87": "iso2022_jp",
    "ISO 2022 IR 149": "euc_kr", "ISO 2022 IR 159": "iso2022_jp_2", "ISO 2022 GBK": "GBK",
    "ISO_IR 192": "UTF8", "GB18030": "GB18030", "GBK": "GBK",
}  # fmt: skip
"""Defined terms of Specific Character Set and their codecs (DICOM PS3.3 C.12.1.1.2)."""


class Charset:
    """One declared repertoire, ready to decode values. Never raises: what cannot be read becomes U+FFFD.

    Attributes:
        may_escape: Values may switch repertoire by escape sequences.
    """

    __slots__ = ("_extensions", "_first", "may_escape")

    def __init__(self, declared: str) -> None:
        terms = [term.strip() for term in declared.split("\\")[:8]]
        encodings = [_python_name(term) for term in terms] or [_FALLBACK]
        self._first = encodings[0]
        self.may_escape = len(encodings) > 1 or terms[0].startswith("ISO 2022")
        self._extensions = encodings if self.may_escape else None

    def decode(self, raw: bytes, *, is_name: bool = False) -> str:
        """Decode one value.

        Args:
            raw: The value as it stands in the data set, padding included.
            is_name: True for PN, where ``^`` and ``=`` also end a code extension (PS3.5 6.1.2.5.3).
        """
        if self._extensions is not None and _ESCAPE in raw:
            try:
                delimiters = _NAME_DELIMITERS if is_name else _TEXT_DELIMITERS
                return _decode_extended(raw, self._extensions, delimiters)
            except (UnicodeError, LookupError):
                return raw.decode(self._first, "replace")
        if raw.isascii():
            return raw.decode("ascii")
        return raw.decode(self._first, "replace")

    def encode(self, text: str) -> bytes | None:
        """A value in this repertoire, or None where it cannot be written without switching repertoires."""
        if text.isascii():
            return text.encode()
        if self._extensions is not None:
            return None
        try:
            return text.encode(self._first)
        except UnicodeError:
            return None


def _decode_extended(raw: bytes, encodings: list[str], delimiters: set[int]) -> str:
    """Decode a value that switches repertoires (ISO 2022), with pydicom: rare, and its import costs a second."""
    from pydicom import charset

    read, at = [], 0
    for switch in _TO_LATIN_9.finditer(raw) if _LATIN_9 in encodings else ():
        stop = next((place for place in range(*switch.span(1)) if raw[place] in delimiters), switch.end())
        read += [charset.decode_bytes(raw[at : switch.start()], encodings, delimiters)]
        read += [raw[switch.start(1) : stop].decode(_LATIN_9)]
        at = stop
    read += [charset.decode_bytes(raw[at:], encodings, delimiters)]
    return "".join(read).replace(_LEFT_BEHIND, "")


def _python_name(term: str) -> str:
    """The codec for a defined term; common misspellings are read as meant, unknown terms as Latin 1."""
    known = _CODECS.get(term)
    if known is None:
        tidy = re.sub(r"^ISO[ _-]?2022[ _-]?IR[ _-]?", "ISO 2022 IR ", term.upper())
        tidy = re.sub(r"^ISO[ _-]?IR[ _-]?", "ISO_IR ", tidy)
        known = _CODECS.get(tidy)
    if known is None and term.upper().replace("-", "").replace("_", "") == "UTF8":
        known = "utf8"
    return known or _FALLBACK


@lru_cache(maxsize=64)
def charset_of(declared: bytes) -> Charset:
    """The repertoire for a value of (0008,0005)."""
    return Charset(declared.decode("ascii", "replace").strip(" \0"))


def load() -> None:
    """Load what decoding loads late: where no file can be opened afterwards, each repertoire is read all the same."""
    from pydicom import charset

    for name in {_FALLBACK, *_CODECS.values(), *charset.python_encoding.values()}:
        codecs.lookup(name)
