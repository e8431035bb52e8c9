"""Faults of the DICOMweb door."""

from __future__ import annotations

from troth.kit.errors import BadInput, NotAcceptable, TooLarge, TrothError, UnsupportedMedia


class PartTooLarge(TooLarge):
    """One instance is larger than this door takes."""

    slug = "instance-too-large"
    title = "The instance is larger than is taken here"


class MediaTypeUnknown(UnsupportedMedia):
    """Something else than DICOM instances was sent."""

    slug = "media-type-unknown"
    title = "Only DICOM instances are taken here"


class NothingAcceptable(NotAcceptable):
    """None of the media types asked for can be given."""

    slug = "nothing-acceptable"
    title = "None of the media types asked for can be given"


class ParameterInvalid(BadInput):
    """A query parameter cannot be understood."""

    slug = "parameter-invalid"
    title = "A parameter cannot be understood"


class OriginForeign(TrothError):
    """A page of another origin tried to use the session of this one."""

    slug = "origin-foreign"
    title = "This came from a page of another origin"
    http_status = 403


class RangeUnsatisfiable(TrothError):
    """A range of bytes that begins after the end of the value (RFC 9110 15.5.17)."""

    slug = "range-unsatisfiable"
    title = "The value has no such bytes"
    http_status = 416

    def __init__(self, length: int) -> None:
        super().__init__(f"The value has {length} bytes.")


class BulkMissing(BadInput):
    """Metadata points to a bulk value that did not come (PS3.18 10.5.1.1)."""

    slug = "bulk-missing"
    title = "A value that the metadata points to is missing"


class BulkUnasked(BadInput):
    """A bulk value came that no metadata before it points to."""

    slug = "bulk-unasked"
    title = "A value came that no metadata points to"
