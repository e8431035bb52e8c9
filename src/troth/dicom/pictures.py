"""The door to `troth.dicom.painting`, which alone needs numpy and the codecs, and what a confined child runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from troth.dicom import syntaxes, text
from troth.dicom.errors import CannotRender
from troth.dicom.frames import FrameTable
from troth.dicom.metadata import to_json
from troth.dicom.picture import DRAWING_BYTES, Picture


def render(frame: bytes, picture: Picture, **options: Any) -> bytes:
    """Make an image file of a frame; see `troth.dicom.painting.render` for the options."""
    from troth.dicom import painting

    return painting.render(frame, picture, **options)


def animate(frames: Sequence[bytes], pictures: Sequence[Picture], **options: Any) -> bytes:
    """Make a moving picture of frames; see `troth.dicom.painting.animate` for the options."""
    from troth.dicom import painting

    return painting.animate(frames, pictures, **options)


def described(head: bytes, syntax: str, frames: range) -> list[Picture]:
    """What the pictures of some frames are.

    Args:
        head: Head of the instance.
        syntax: Transfer syntax.
        frames: Counted from 1.

    Raises:
        CannotRender: There are none, or they take more memory than is spent.
    """
    metadata = to_json(head, syntax, frames=frames)
    found = [Picture.of(metadata, syntax, at) for at in frames]
    if sum(one.drawing_bytes for one in found) > DRAWING_BYTES:
        raise CannotRender("The picture takes more memory than is spent on one here")
    return found


def drawn(
    contents: list[bytearray], syntax: str, number: int, table: FrameTable | None, options: dict[str, Any]
) -> bytes:
    """Draw a picture: what the child runs.

    Args:
        contents: The head of the instance, then the bytes of the ranges of each frame.
        syntax: Transfer syntax.
        number: Number of the first frame, counted from 1.
        table: Shape of the frames, without their places; None where they are frames as `FrameTable.frame` gives them.
        options: Those of `render`.

    Raises:
        CannotRender: There is no picture of it.
    """
    head = bytes(contents.pop(0))
    pictures = described(head, syntax, range(number, number + len(contents)))
    del head
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

    text.load()
    imagecodecs.jpeg8_version()  # loads the decoder itself
    to_json(bytes.fromhex("28000601 02000000 0000 08004011 00000000"), syntaxes.IMPLICIT_LITTLE, frames=range(1))
    Image.init()
    ImageFont.load_default(10)
