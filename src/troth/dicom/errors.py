"""What can be wrong with a stranger's DICOM bytes. No message ever carries a value of the file."""

from __future__ import annotations

from troth.kit import errors


class Malformed(errors.BadInput):
    """The bytes do not follow DICOM PS3.5, or mean different things to different readers."""

    slug = "dicom-malformed"
    title = "This is not a well-formed DICOM instance"


class NotDicom(Malformed):
    """Neither a Part 10 file nor a bare data set."""

    slug = "dicom-not-dicom"
    title = "This is not a DICOM file"


class Truncated(Malformed):
    """The bytes end before the lengths they announce."""

    slug = "dicom-truncated"
    title = "The DICOM instance is cut short"


class EncodingUnknown(Malformed):
    """An XML document is in another encoding than those that are read (XML 1.0 4.3.3)."""

    slug = "dicom-encoding-unknown"
    title = "The XML is in an encoding that is not read here; write it in UTF-8 or UTF-16"


class TooDeep(Malformed):
    """Sequences are nested deeper than any real object needs."""

    slug = "dicom-too-deep"
    title = "The DICOM instance nests its sequences too deeply"


class UidInvalid(Malformed):
    """A UID that names the instance, its series, study or class is missing or breaks PS3.5 9.1."""

    slug = "dicom-uid-invalid"
    title = "A UID of the DICOM instance is missing or not a UID"


class HeadTooLarge(errors.TooLarge):
    """Values before the pixels, or the inflated whole, exceed what is taken."""

    slug = "dicom-too-large"
    title = "The DICOM instance is larger than is taken here"


class SyntaxUnknown(errors.UnsupportedMedia):
    """A transfer syntax outside DICOM PS3.6 Table A-1."""

    slug = "dicom-syntax-unknown"
    title = "This transfer syntax is not taken here"


class CannotRender(errors.NotAcceptable):
    """The pixels are whole but there is no picture of them to be had here."""

    slug = "dicom-cannot-render"
    title = "There is no picture of this instance in a form that was asked for"


class CannotCorrect(errors.Conflict):
    """An attribute cannot be corrected in this instance; nothing was changed."""

    slug = "dicom-cannot-correct"
    title = "This attribute cannot be corrected in this instance"
