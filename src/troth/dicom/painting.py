"""A frame as a picture for the eye: rescaled, windowed, coloured, sized. Pure; meant for a limited child process.

Per: DICOM PS3.18 8.3.5 (rendering), PS3.3 C.11.1 (modality), C.11.2 (VOI), C.7.6.3.1 (photometric interpretation).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from troth.dicom.codecs import decode
from troth.dicom.errors import CannotRender
from troth.dicom.picture import Lookup, Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[Any]

Region = tuple[int, int, int, int]

NATIVE = "application/octet-stream"
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "image/jpeg": ("JPEG", {"optimize": False}),
    "image/png": ("PNG", {"compress_level": 1}),
    "image/gif": ("GIF", {}),
}
#: Widest range of stored values for which a table is made rather than each pixel computed.
_TABLE_BITS = 16
_BAND_PIXELS = 1 << 20


def render(
    frame: bytes,
    picture: Picture,
    *,
    media_type: str = "image/jpeg",
    window: tuple[float, float] | None = None,
    function: str = "",
    size: tuple[int, int] | None = None,
    region: Region | None = None,
    quality: int = 90,
    notes: Sequence[str] = (),
) -> bytes:
    """Make an image file of a frame.

    Args:
        frame: Its bytes as `FrameTable.frame` gives them.
        picture: Its description.
        media_type: ``image/jpeg``, ``image/png`` or ``image/gif``; ``application/octet-stream`` for the values
            themselves, uncompressed, to which no other option applies.
        window: (centre, width) instead of the instance's own.
        function: LINEAR, LINEAR_EXACT or SIGMOID for that window; empty for the instance's own.
        size: Largest (width, height) in pixels; the shape is kept, nothing is made larger than it is.
        region: Left, top, width and height in pixels of the part to show; a negative width or height turns it round.
        quality: JPEG quality, 1 to 100.
        notes: Lines to write into the upper left corner.

    Returns:
        The file.

    Raises:
        CannotRender: The frame cannot be decoded, or not be given in this form.
    """
    if media_type == NATIVE:
        return _native(frame, picture)
    form = _FORMATS.get(media_type)
    if form is None:
        raise CannotRender
    image = _image(frame, picture, window, function, size, region, notes)
    kind, options = form
    if kind == "JPEG":
        options = options | {"quality": min(max(quality, 1), 100)}
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def _native(frame: bytes, picture: Picture) -> bytes:
    """The stored values as Explicit VR Little Endian has them; colours that the codec turned round are RGB."""
    values, _ = decode(frame, picture)
    if picture.bits_allocated == 1:
        return np.packbits(values.ravel(), bitorder="little").tobytes()
    if values.ndim == 3 and picture.is_planar:
        values = values.transpose(2, 0, 1)
    kind = "f" if picture.is_float else "u"
    return values.astype(f"<{kind}{picture.bits_allocated // 8}", copy=False).tobytes()


def animate(
    frames: Sequence[bytes],
    pictures: Sequence[Picture],
    *,
    media_type: str = "image/gif",
    window: tuple[float, float] | None = None,
    function: str = "",
    size: tuple[int, int] | None = None,
    region: Region | None = None,
    quality: int = 90,
    notes: Sequence[str] = (),
    milliseconds: int = 100,
) -> bytes:
    """Make a moving picture of several frames.

    Args:
        frames: Their bytes.
        pictures: The description of each.
        media_type: ``image/gif``.
        window: As of `render`.
        function: As of `render`.
        size: As of `render`.
        region: As of `render`.
        quality: Not used: a GIF keeps what it has colours for.
        notes: As of `render`.
        milliseconds: How long each is shown.

    Raises:
        CannotRender: As of `render`.
    """
    del quality
    if media_type != "image/gif":
        raise CannotRender("Only a GIF moves here")
    first, *others = (
        _image(frame, picture, window, function, size, region, notes)
        for frame, picture in zip(frames, pictures, strict=True)
    )
    written = io.BytesIO()
    first.save(written, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)
    return written.getvalue()


def _image(
    frame: bytes,
    picture: Picture,
    window: tuple[float, float] | None,
    function: str,
    size: tuple[int, int] | None,
    region: Region | None,
    notes: Sequence[str],
) -> Image.Image:
    if function:
        picture = replace(picture, function=function)
    values, is_rgb = decode(frame, picture)
    light = _light(values, picture, window, is_rgb=is_rgb)
    del values  # a large frame is not held twice
    image = Image.fromarray(np.ascontiguousarray(light))
    del light
    if region is not None:
        image = _part(image, region)
    if size is not None:
        wide, high = (max(1, side) for side in size)
        ratio = min(wide / image.width, high / image.height, 1.0)
        if ratio < 1:
            shape = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
            image = image.resize(shape, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if notes:
        _write(image, notes)
    return image


def _part(image: Image.Image, region: Region) -> Image.Image:
    """A part of a picture, turned round where its sides are negative (PS3.18 8.3.5.1.3)."""
    left, top, width, height = region
    right, bottom = min(left + abs(width), image.width), min(top + abs(height), image.height)
    if not (0 <= left < right and 0 <= top < bottom):
        raise CannotRender("The part that is asked for lies outside the picture")
    image = image.crop((left, top, right, bottom))
    if width < 0:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if height < 0 else image


def _write(image: Image.Image, notes: Sequence[str]) -> None:
    """Write lines so that they can be read on dark and on bright ground."""
    height = min(max(image.height // 32, 10), 48)
    light, dark = ((255, 255, 255), (0, 0, 0)) if image.mode == "RGB" else (255, 0)
    ImageDraw.Draw(image).multiline_text(
        (height // 2, height // 2), "\n".join(notes), light, ImageFont.load_default(height), stroke_width=1,
        stroke_fill=dark,
    )  # fmt: skip


def _light(values: Samples, picture: Picture, window: tuple[float, float] | None, *, is_rgb: bool) -> Samples:
    """Stored values to 8-bit grey or RGB."""
    if picture.palette is not None:
        palette = picture.palette
        return _in_bands(values, 3, lambda band: _coloured(band, picture, palette))
    if values.ndim == 3:
        is_ybr = not is_rgb and picture.photometric.startswith("YBR_FULL")
        if values.dtype.itemsize == 1 and not is_ybr:
            return values
        return _in_bands(values, 3, lambda band: _colour(band, picture, is_ybr=is_ybr))
    return _grey(values, picture, window)


def _in_bands(values: Samples, channels: int, draw: Callable[[Samples], Samples]) -> Samples:
    """Draw some rows at a time, so that what a row takes on the way is not taken for all rows at once."""
    rows, columns = values.shape[:2]
    shape = (rows, columns, channels) if channels > 1 else (rows, columns)
    light = np.empty(shape, "u1")
    for top, bottom in _bands(rows, columns):
        light[top:bottom] = draw(values[top:bottom])
    return light


def _bands(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    step = max(_BAND_PIXELS // max(columns, 1), 1)
    for top in range(0, rows, step):
        yield top, min(top + step, rows)


def _colour(values: Samples, picture: Picture, *, is_ybr: bool) -> Samples:
    if values.dtype.itemsize > 1:
        values = (values >> max(picture.bits_stored - 8, 0)).astype("u1")
    return _rgb_of_ybr(values) if is_ybr else values


def _grey(values: Samples, picture: Picture, window: tuple[float, float] | None) -> Samples:
    if picture.bits_allocated == 1:
        grey = values * np.uint8(255)
        return 255 - grey if picture.is_inverse else grey
    if picture.is_float or picture.bits_stored > _TABLE_BITS:
        return _wide(values, picture, window)
    mask = (1 << picture.bits_stored) - 1
    shift = picture.high_bit + 1 - picture.bits_stored
    every = np.arange(mask + 1, dtype="i4")
    if picture.is_signed:
        every = np.where(every > mask >> 1, every - mask - 1, every)
    if picture.modality is not None:
        real = _looked_up(every, picture.modality).astype("f8")
    else:
        real = every * picture.slope + picture.intercept

    def codes(band: Samples) -> Samples:
        return band & mask if shift <= 0 else band >> shift & mask

    if window is None and picture.window is None and picture.voi is None:
        window = _natural_window(values, codes, real, picture)
    table = np.asarray(_shown(real, picture, window))
    return _in_bands(values, 1, lambda band: table[codes(band)])


def _wide(values: Samples, picture: Picture, window: tuple[float, float] | None) -> Samples:
    """Grey of values of more than 16 bits, or of floats: each is computed, for there is no table of them."""

    def real(band: Samples) -> Samples:
        numbers = band.astype("f8") if picture.is_float else _signed(band, picture).astype("f8")
        return np.asarray(np.nan_to_num(numbers) * picture.slope + picture.intercept)

    ends = None
    if window is None and picture.window is None and picture.voi is None:
        found = [_ends(real(values[top:bottom])) for top, bottom in _bands(*values.shape[:2])]
        ends = min(low for low, _ in found), max(high for _, high in found)
    return _in_bands(values, 1, lambda band: _shown(real(band), picture, window, ends))


def _signed(values: Samples, picture: Picture) -> Samples:
    """Values wider than 16 bits with their sign."""
    return values.view(f"i{values.dtype.itemsize}") if picture.is_signed else values


def _natural_window(
    values: Samples, codes: Callable[[Samples], Samples], real: Samples, picture: Picture
) -> tuple[float, float] | None:
    """From the darkest to the brightest value there is; bytes are shown as they are."""
    if picture.bits_stored <= 8 and not picture.is_signed and picture.modality is None:
        return None
    seen = np.zeros(len(real), bool)
    for top, bottom in _bands(*values.shape[:2]):
        seen[codes(values[top:bottom])] = True
    present = real[seen]
    low, high = float(present.min()), float(present.max())
    return (low + high + 1) / 2, max(high - low + 1, 2)


def _shown(
    real: Samples, picture: Picture, window: tuple[float, float] | None, ends: tuple[float, float] | None = None
) -> Samples:
    """Window or VOI table: real values to 8 bits (PS3.3 C.11.2.1.2, C.11.2.1.3); without one, from end to end."""
    window = window or picture.window
    if window is None and picture.voi is not None:
        table = picture.voi
        grey = _looked_up(real.astype("i4"), table).astype("f8") * (255 / ((1 << table.bits) - 1))
    elif window is None:
        low, high = (0.0, float((1 << picture.bits_stored) - 1)) if picture.bits_stored <= 8 else ends or _ends(real)
        grey = (real - low) * (255 / max(high - low, 1e-9))
    else:
        centre, width = window
        if picture.function == "SIGMOID":
            grey = 255 / (1 + np.exp(np.clip(-4 * (real - centre) / width, -60, 60)))
        elif picture.function == "LINEAR_EXACT" or width <= 1:
            grey = ((real - centre) / max(width, 1e-9) + 0.5) * 255
        else:
            grey = ((real - (centre - 0.5)) / (width - 1) + 0.5) * 255
    light = np.clip(grey + 0.5, 0, 255).astype("u1")
    return 255 - light if picture.is_inverse else light


def _ends(real: Samples) -> tuple[float, float]:
    return float(real.min()), float(real.max())


def _looked_up(values: Samples, table: Lookup) -> Samples:
    entries = np.frombuffer(table.entries, "<u2")
    return np.asarray(entries[np.clip(values - table.first, 0, len(entries) - 1)])


def _coloured(values: Samples, picture: Picture, palette: tuple[Lookup, Lookup, Lookup]) -> Samples:
    if values.ndim != 2:
        raise CannotRender("A palette is for one sample per pixel")
    codes = values.astype("i4") & (1 << min(picture.bits_stored, 16)) - 1
    planes = [(_looked_up(codes, table) >> (table.bits - 8)).astype("u1") for table in palette]
    return np.stack(planes, axis=-1)


def _rgb_of_ybr(values: Samples) -> Samples:
    """YBR_FULL to RGB (PS3.3 C.7.6.3.1.2)."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(values), "YCbCr").convert("RGB"))
