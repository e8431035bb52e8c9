"""Square codes (ISO/IEC 18004) as the path of an SVG. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel  # type: ignore[import-untyped]

QUIET = 4
"""Modules of white around it (ISO/IEC 18004 6.3.8)."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square code.

    Attributes:
        size: Modules of one side, the white around included.
        path: The dark modules.
    """

    size: int
    path: str


def square_of(text: str) -> Square:
    """The square code of a text.

    Args:
        text: What a camera reads from it.
    """
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    count = code.getModuleCount()
    path = "".join(
        f"M{column + QUIET} {row + QUIET}h1v1h-1z"
        for row in range(count)
        for column in range(count)
        if code.isDark(row, column)
    )
    return Square(count + 2 * QUIET, path)
