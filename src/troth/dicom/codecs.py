"""Frames to arrays of stored values, native or compressed. Pure functions, meant for a limited child process.

Per: DICOM PS3.5 8.1 and 8.2, Annex G (RLE).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from troth.dicom import jpeg, syntaxes
from troth.dicom.errors import CannotRender
from troth.dicom.picture import PIXEL_LIMIT, Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[Any]

_JPEG = frozenset({syntaxes.JPEG_BASELINE, syntaxes.JPEG_EXTENDED, syntaxes.JPEG_LOSSLESS, syntaxes.JPEG_LOSSLESS_14})
_JPEG_2000 = frozenset(
    {
        syntaxes.JPEG_2000_LOSSLESS,
        syntaxes.JPEG_2000,
        syntaxes.HTJ2K_LOSSLESS,
        syntaxes.HTJ2K_LOSSLESS_RPCL,
        syntaxes.HTJ2K,
    }
)
_JPEG_LS = frozenset({syntaxes.JPEG_LS_LOSSLESS, syntaxes.JPEG_LS_NEAR})

#: Transfer syntaxes whose frames are decoded here.
DECODED = syntaxes.NATIVE | {syntaxes.RLE} | _JPEG | _JPEG_2000 | _JPEG_LS


def decode(frame: bytes, picture: Picture) -> tuple[Samples, bool]:
    """Decode a frame.

    Args:
        frame: Its native bytes, little endian, or its compressed stream.
        picture: Its description; its size was checked already.

    Returns:
        Values as rows x columns, or rows x columns x 3; and whether colours are already RGB.

    Raises:
        CannotRender: The stream is broken, larger than described, or of a kind that no codec here reads.
    """
    syntax = picture.syntax
    try:
        if not syntaxes.is_encapsulated(syntax):
            return _native(frame, picture), False
        if syntax == syntaxes.RLE:
            return _rle(frame, picture), False
        if syntax in _JPEG:
            return _jpeg(frame, picture)
        if syntax in _JPEG_2000:
            return _jpeg_2000(frame, picture)
        if syntax in _JPEG_LS:
            return _jpeg_ls(frame, picture), False
    except (ValueError, RuntimeError, OSError, struct.error, IndexError, TypeError):
        raise CannotRender("The frame cannot be decoded") from None
    raise CannotRender("There is no decoder for this transfer syntax here")


def _unsigned(bits: int) -> np.dtype[Any]:
    return np.dtype(f"<u{bits // 8}")


def _native(frame: bytes, picture: Picture) -> Samples:
    rows, columns, samples = picture.rows, picture.columns, picture.samples
    pixels = rows * columns
    if picture.bits_allocated == 1:
        return np.unpackbits(np.frombuffer(frame, "u1"), bitorder="little")[:pixels].reshape(rows, columns)
    if picture.is_float:
        return np.frombuffer(frame, f"<f{picture.bits_allocated // 8}", pixels).reshape(rows, columns)
    kind = _unsigned(picture.bits_allocated)
    if samples == 1:
        return np.frombuffer(frame, kind, pixels).reshape(rows, columns)
    if picture.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        pairs = np.frombuffer(frame, kind, pixels * 2).reshape(-1, 4)
        wide = np.empty((pairs.shape[0], 2, 3), kind)
        wide[:, 0, 0], wide[:, 1, 0] = pairs[:, 0], pairs[:, 1]
        wide[:, :, 1], wide[:, :, 2] = pairs[:, 2:3], pairs[:, 3:4]
        return wide.reshape(rows, columns, 3)
    values = np.frombuffer(frame, kind, pixels * 3)
    if picture.is_planar:
        return values.reshape(3, rows, columns).transpose(1, 2, 0)
    return values.reshape(rows, columns, 3)


def _rle(frame: bytes, picture: Picture) -> Samples:
    """RLE: one segment per byte of a sample, most significant first, colour by plane (PS3.5 G.2)."""
    width = max(picture.bits_allocated // 8, 1)
    pixels = picture.rows * picture.columns
    count, *offsets = struct.unpack_from("<16L", frame)
    if count != width * picture.samples or count > 15:
        raise CannotRender("The frame has an unexpected number of RLE segments")
    planes = np.empty((picture.samples, pixels, width), "u1")
    for at in range(count):
        end = offsets[at + 1] if at + 1 < count else len(frame)
        sample, byte = divmod(at, width)
        planes[sample, :, width - 1 - byte] = _unpacked(frame[offsets[at] : end], pixels)
    values = planes.reshape(picture.samples, -1).view(_unsigned(width * 8))
    if picture.samples == 1:
        return values.reshape(picture.rows, picture.columns)
    return values.reshape(3, picture.rows, picture.columns).transpose(1, 2, 0)


def _unpacked(segment: bytes, size: int) -> Samples:
    """One PackBits segment (PS3.5 G.3.2); never longer than asked for."""
    out = bytearray()
    at, end = 0, len(segment)
    while len(out) < size and at < end:
        control = segment[at]
        if control < 128:
            out += segment[at + 1 : at + 2 + control]
            at += control + 2
        else:
            if control > 128:
                out += segment[at + 1 : at + 2] * (257 - control)
            at += 2 if control > 128 else 1
    if len(out) < size:
        raise CannotRender("The frame ends before its last row")
    return np.frombuffer(bytes(out[:size]), "u1")


def _check_size(picture: Picture, rows: int, columns: int, samples: int) -> None:
    """The stream's own size, before anything is allocated by it."""
    if rows * columns > PIXEL_LIMIT or rows != picture.rows or columns != picture.columns or samples != picture.samples:
        raise CannotRender("The compressed frame has another size than the instance says")


def _jpeg(frame: bytes, picture: Picture) -> tuple[Samples, bool]:
    stream = jpeg.described(frame)
    _check_size(picture, stream.rows, stream.columns, stream.samples)
    if stream.bits > picture.bits_allocated:
        raise CannotRender("The compressed frame has more bits than the instance says")
    values = jpeg.decoded(frame, stream, picture.photometric)
    return values.astype(_unsigned(picture.bits_allocated), copy=False), True


def _jpeg_2000(frame: bytes, picture: Picture) -> tuple[Samples, bool]:
    from openjpeg.utils import decode as decode_2000
    from openjpeg.utils import get_parameters

    shape = get_parameters(frame)
    _check_size(picture, int(shape["rows"]), int(shape["columns"]), int(shape["samples_per_pixel"]))
    values = decode_2000(frame)
    return _as_unsigned(values), picture.photometric in ("YBR_ICT", "YBR_RCT", "RGB")


def _jpeg_ls(frame: bytes, picture: Picture) -> Samples:
    import _CharLS  # type: ignore[import-not-found]
    import jpeg_ls

    shape = _CharLS.read_header(frame)
    _check_size(picture, shape["height"], shape["width"], shape["components"])
    raw, _ = jpeg_ls.decode_buffer(frame)
    kind = _unsigned(8 if shape["bits_per_sample"] <= 8 else 16)
    values = np.frombuffer(raw, kind)
    if picture.samples == 1:
        return values.reshape(picture.rows, picture.columns)
    if shape["interleave_mode"] == 0:
        return values.reshape(3, picture.rows, picture.columns).transpose(1, 2, 0)
    return values.reshape(picture.rows, picture.columns, 3)


def _as_unsigned(values: Samples) -> Samples:
    """The same bits without a sign; the picture says whether there is one."""
    return values.view(f"u{values.dtype.itemsize}") if values.dtype.kind == "i" else values
