"""The door to `troth.dicom.painting`, which alone needs numpy and the codecs: loaded with the first picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from troth.dicom.picture import Picture


def render(frame: bytes, picture: Picture, **options: Any) -> bytes:
    """Make an image file of a frame; see `troth.dicom.painting.render` for the options."""
    from troth.dicom import painting

    return painting.render(frame, picture, **options)


def animate(frames: Sequence[bytes], pictures: Sequence[Picture], **options: Any) -> bytes:
    """Make a moving picture of frames; see `troth.dicom.painting.animate` for the options."""
    from troth.dicom import painting

    return painting.animate(frames, pictures, **options)
