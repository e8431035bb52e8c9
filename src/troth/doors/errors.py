"""Faults that several doors share."""

from __future__ import annotations

from troth.kit.errors import BadInput, TooLarge


class MediaTypeUnreadable(BadInput):
    """A media type is longer than any is, or its quoted parts do not end."""

    slug = "media-type-unreadable"
    title = "A media type cannot be read"


class MultipartBroken(BadInput):
    """The parts of a message cannot be told apart (RFC 2046 5.1)."""

    slug = "multipart-broken"
    title = "The parts of the message cannot be told apart"


class TooManyParts(TooLarge):
    """More parts in one message than this door takes."""

    slug = "too-many-parts"
    title = "There are more parts in one message than are taken here"
