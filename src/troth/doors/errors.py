"""Faults that several doors share."""

from __future__ import annotations

from troth.kit.errors import BadInput, TooLarge, TrothError, UnsupportedMedia


class MediaTypeUnreadable(BadInput):
    """A media type is longer than any is, or its quoted parts do not end."""

    slug = "media-type-unreadable"
    title = "A media type cannot be read"


class CodingUnknown(UnsupportedMedia):
    """The content of a request is compressed or coded otherwise (RFC 9110 8.4)."""

    slug = "coding-unknown"
    title = "Content is taken here as it is, without a Content-Encoding"


class MultipartBroken(BadInput):
    """The parts of a message cannot be told apart (RFC 2046 5.1)."""

    slug = "multipart-broken"
    title = "The parts of the message cannot be told apart"


class TooManyParts(TooLarge):
    """More parts in one message than this door takes."""

    slug = "too-many-parts"
    title = "There are more parts in one message than are taken here"


class UidsDiffer(TrothError):
    """The command, association or meta group names another SOP class or instance than the data set."""

    slug = "uids-differ"
    title = "The command or the meta group names another instance than the data set holds"
    http_status = 409
    dimse_status = 0xA900  # data set does not match SOP class, DICOM PS3.4 B.2.3
