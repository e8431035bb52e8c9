"""The door to `troth.dicom.painting`, which alone needs numpy and the codecs: loaded with the first picture."""

from __future__ import annotations

from troth.dicom.picture import Picture


def render(
    frame: bytes,
    picture: Picture,
    *,
    media_type: str = "image/jpeg",
    window: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
    quality: int = 90,
) -> bytes:
    """Make an image file of a frame; see `troth.dicom.painting.render`."""
    from troth.dicom import painting

    return painting.render(frame, picture, media_type=media_type, window=window, size=size, quality=quality)
