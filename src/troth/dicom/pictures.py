"""The door to `troth.dicom.painting`, which alone needs numpy and the codecs, and what a confined child runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from troth.dicom.frames import FrameTable
from troth.dicom.picture import Picture


def render(frame: bytes, picture: Picture, **options: Any) -> bytes:
    """Make an image file of a frame; see `troth.dicom.painting.render` for the options."""
    from troth.dicom import painting

    return painting.render(frame, picture, **options)


def animate(frames: Sequence[bytes], pictures: Sequence[Picture], **options: Any) -> bytes:
    """Make a moving picture of frames; see `troth.dicom.painting.animate` for the options."""
    from troth.dicom import painting

    return painting.animate(frames, pictures, **options)


def drawn(
    contents: Sequence[bytearray],
    number: int,
    table: FrameTable | None,
    pictures: Sequence[Picture],
    options: dict[str, Any],
) -> bytes:
    """Draw a picture: what the child runs.

    Args:
        contents: The bytes of the ranges of each frame.
        number: Number of the first frame, counted from 1.
        table: Shape of the frames, without their places; None where they are frames as `FrameTable.frame` gives them.
        pictures: The description of each frame.
        options: Those of `render`.

    Raises:
        CannotRender: There is no picture of it.
    """
    # What is large is native and plain, and stays where it was gathered; numpy reads it there.
    frames: list[Any] = list(contents)
    if table is None or table.frame_bits == 0 or not table.is_plain:
        frames = [bytes(one) for one in frames]
    if table is not None and not table.is_plain:
        frames = [table.frame(number + at, [one]) for at, one in enumerate(frames)]
    if len(frames) == 1:
        return render(frames[0], pictures[0], **options)
    return animate(frames, pictures, **options)


def load() -> None:
    """Load what decoding and drawing load late: in a confined child no file can be opened afterwards."""
    import _CharLS  # type: ignore[import-not-found]  # noqa: F401
    import imagecodecs
    import jpeg_ls  # noqa: F401
    import openjpeg.utils  # noqa: F401
    from PIL import GifImagePlugin, Image, ImageFont, JpegImagePlugin, PngImagePlugin  # noqa: F401

    from troth.dicom import codecs, painting, picture  # noqa: F401

    imagecodecs.jpeg8_version()  # loads the decoder itself
    Image.init()
    ImageFont.load_default(10)
