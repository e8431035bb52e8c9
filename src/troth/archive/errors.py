"""What can go wrong in the archive. No detail carries personal data; UIDs of unknown studies are not repeated."""

from __future__ import annotations

from uuid import UUID

from troth.kit.errors import (
    BadInput,
    Conflict,
    NotAcceptable,
    NotFound,
    PermitDenied,
    TooLarge,
    TrothError,
    Unavailable,
    Unprocessable,
)


class StudyNotFound(NotFound):
    """No such study, series or instance for this actor."""


class WrongPermit(PermitDenied):
    """The permit was made for another action, target or tenant."""


class PermitExpired(PermitDenied):
    """The permit or the viewing is older than it may be."""


class SearchKeyUnknown(BadInput):
    """A search key that cannot be honoured; ignoring it would widen the search."""

    slug = "search-key-unknown"
    title = "This search key cannot be honoured, so nothing was searched"


class SearchValueInvalid(BadInput):
    """The value of a search key cannot be understood."""

    slug = "search-value-invalid"
    title = "The value of a search key cannot be understood"


class SearchTooBroad(TooLarge):
    """More would have to be read than one search may (DICOM PS3.18 table 10.6.3-1)."""

    slug = "search-too-broad"
    title = "The search is too broad; add a key or a date range"


class SearchAmbiguous(BadInput):
    """One person is meant, and the PatientID is that of several: another issuer gave it to another one."""

    slug = "search-ambiguous"
    title = "Several people have this patient number; say who issued it"


class NoPixels(NotFound):
    """The instance has no such frame or bulk value."""

    slug = "not-found"


class VideoHasNoFrames(NotAcceptable):
    """The pixels are one stream of a video: no single frame of it is cut out or drawn here."""

    slug = "video-has-no-frames"
    title = "This is a video, kept as one stream: no single frame of it is given, the bulk value is the whole stream"


class NotStoredThatWay(NotAcceptable):
    """The transfer syntax asked for is not the stored one and cannot be made from it."""

    slug = "not-stored-that-way"
    title = "This cannot be given in the transfer syntax asked for"


class StoredBytesBroken(TrothError):
    """What was read back is not what was stored."""

    slug = "stored-bytes-broken"
    title = "What was read back is not what was stored"


class StudyMisplaced(TrothError):
    """The row of a study says that it is somebody's who does not own its key. It is not opened for anybody.

    Args:
        study_id: Our id of the study.
    """

    slug = "study-misplaced"
    title = "This study is filed under another patient than its own; it is not opened"

    def __init__(self, study_id: UUID) -> None:
        super().__init__(hint="Its row was changed past the platform. Look at it with troth verify.")
        self.study_id = study_id


class CorrectionRefused(Unprocessable):
    """A correction names an attribute that is not corrected, or a value that it cannot have. Nothing was changed.

    Args:
        detail: One sentence, with keywords only.
        tag: The attribute, or 0.
    """

    slug = "correction-refused"
    title = "This is not corrected like this"

    def __init__(self, detail: str = "", *, hint: str = "", tag: int = 0) -> None:
        super().__init__(detail, hint=hint)
        self.tag = tag


class StudyChanged(Unavailable):
    """The study was corrected while it was read. Asking again gives what it says now."""

    slug = "study-changed"
    title = "This study was corrected while it was read; ask again"


class SourceRefused(BadInput):
    """A file, folder or zip that is to be imported cannot be read, or is a trap."""

    slug = "source-refused"
    title = "This cannot be read"


class UpkeepRunning(Conflict):
    """The same upkeep is under way in another process of this machine."""

    slug = "upkeep-running"
    title = "This is being done already"


class InstanceRefused(Conflict):
    """One instance was not taken. Sent back for that instance only; the others of the batch are not touched.

    Args:
        detail: One sentence, no personal data.
    """


class DuplicateDiffers(InstanceRefused):
    """The same SOP Instance UID is held with other bytes. Nothing is overwritten."""

    slug = "duplicate-differs"
    title = "An instance with this UID is held with other content"
    dimse_status = 0x0111  # duplicate SOP instance, DICOM PS3.7 C.5.7


class OtherPatient(InstanceRefused):
    """The study UID is held for another patient of the same organisation."""

    slug = "other-patient"
    title = "This study UID is held for another patient"
    dimse_status = 0xC110  # cannot understand; DICOM PS3.4 B.2.3 leaves the low digits to us


class OtherStudy(InstanceRefused):
    """The series UID is held in another study."""

    slug = "other-study"
    title = "This series UID is held in another study"
    dimse_status = 0xC111


#: What contradicts what is held, and is kept apart for a person to resolve.
CONFLICTS = (DuplicateDiffers, OtherPatient, OtherStudy)


class CannotCoerce(InstanceRefused):
    """The study was corrected, and the instance is written in characters that cannot hold what it says now."""

    slug = "cannot-coerce"
    title = "This study was corrected, and this instance cannot be corrected with it"
    dimse_status = 0xC114


class WasErased(InstanceRefused):
    """A tombstone says that it was erased; it does not come back."""

    slug = "was-erased"
    title = "This study was erased and is not taken again"
    dimse_status = 0x0124  # not authorised, DICOM PS3.7 C.5.11


class StudyMismatch(InstanceRefused):
    """The instance belongs to another study than the address it was sent to."""

    slug = "study-mismatch"
    title = "The instance does not belong to the study it was sent to"
    dimse_status = 0xC113


class QuarantineGone(NotFound):
    """Nothing like that is kept apart, for this actor; somebody may have resolved it."""


class CannotResolve(Conflict):
    """It cannot be resolved like this; nothing was changed."""

    slug = "cannot-resolve"
    title = "This conflict cannot be resolved like this; nothing was changed"
