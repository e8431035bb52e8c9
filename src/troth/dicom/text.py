"""Text of a data set: bytes to `str` under Specific Character Set (DICOM PS3.5 6.1, PS3.3 C.12.1.1.2)."""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom import charset

_FALLBACK = "iso8859-1"
_TEXT_DELIMITERS = {0x0A, 0x0C, 0x0D, 0x09, 0x5C}
_NAME_DELIMITERS = {0x5E, 0x3D, 0x5C}
_ESCAPE = b"\x1b"


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
                return charset.decode_bytes(raw, self._extensions, delimiters)
            except (UnicodeError, LookupError):
                return raw.decode(self._first, "replace")
        if raw.isascii():
            return raw.decode("ascii")
        return raw.decode(self._first, "replace")


def _python_name(term: str) -> str:
    """The codec for a defined term; common misspellings are read as meant, unknown terms as Latin 1."""
    known = charset.python_encoding.get(term)
    if known is None:
        tidy = re.sub(r"^ISO[ _-]?2022[ _-]?IR[ _-]?", "ISO 2022 IR ", term.upper())
        tidy = re.sub(r"^ISO[ _-]?IR[ _-]?", "ISO_IR ", tidy)
        known = charset.python_encoding.get(tidy)
    if known is None and term.upper().replace("-", "").replace("_", "") == "UTF8":
        known = "utf8"
    return known or _FALLBACK


@lru_cache(maxsize=64)
def charset_of(declared: bytes) -> Charset:
    """The repertoire for a value of (0008,0005)."""
    return Charset(declared.decode("ascii", "replace").strip(" \0"))
