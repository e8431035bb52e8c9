"""Transfer syntaxes: how the bytes of a data set are written (DICOM PS3.5 chapter 10, PS3.6 Table A-1)."""

from __future__ import annotations

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS_14 = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
RLE = "1.2.840.10008.1.2.5"

#: Syntaxes whose pixel element is native, that is, not cut into fragments.
NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})

#: A deflated syntax and the one its inflated data set is written in. We store the inflated bytes under the latter.
INFLATED = {DEFLATED: EXPLICIT_LITTLE, "1.2.840.10008.1.2.4.95": "1.2.840.10008.1.2.4.94"}

#: MPEG2, MPEG-4 and HEVC, fragmentable or not: the fragments of all frames are one stream (PS3.5 8.2.5 to 8.2.9).
VIDEO = frozenset(
    f"1.2.840.10008.1.2.4.{number}{part}"
    for number in range(100, 109)
    for part in ("", ".1")
    if number < 107 or not part
)

_ROOT = "1.2.840.10008.1.2"


def is_known(syntax: str) -> bool:
    """Whether this is a transfer syntax of the standard; private ones are not taken."""
    return syntax == _ROOT or syntax.startswith(_ROOT + ".")


def is_little(syntax: str) -> bool:
    """Whether numbers are written little endian."""
    return syntax != EXPLICIT_BIG


def is_explicit(syntax: str) -> bool:
    """Whether each element says its own value representation."""
    return syntax != IMPLICIT_LITTLE


def is_video(syntax: str) -> bool:
    """Whether pixels are one stream of a video: its fragments are no frames."""
    return syntax in VIDEO


def is_encapsulated(syntax: str) -> bool:
    """Whether pixels travel compressed, in fragments."""
    return syntax not in NATIVE
