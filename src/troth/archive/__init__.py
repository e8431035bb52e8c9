"""Studies, series and instances: taken in, found, opened, erased.

Everything personal is sealed under the study's key; search runs on keyed tokens; nothing is shown before the ledger
holds who sees it and why. `Archive` is the room's service, `Viewing` an open study.
"""

from troth.archive.advice import ADVICE, advice_in, advising
from troth.archive.attributes import (
    RETURNED_TAGS,
    is_returned,
    keyword_of,
    level_of,
    tag_of,
    to_json,
    to_json_text,
    top_of,
    vr_of,
)
from troth.archive.bulk_values import BulkValue
from troth.archive.census import Census
from troth.archive.changes import CHANGES, Change, Changed, Changes, Following
from troth.archive.committing import Commitment, Commitments, Verdict
from troth.archive.correctable import AGE, CORRECTABLE, NEVER_EMPTY
from troth.archive.errors import (
    CannotCoerce,
    CannotResolve,
    CorrectionRefused,
    DuplicateDiffers,
    InstanceRefused,
    NoPixels,
    NotStoredThatWay,
    OtherPatient,
    OtherStudy,
    PermitExpired,
    QuarantineGone,
    SearchAmbiguous,
    SearchKeyUnknown,
    SearchTooBroad,
    SearchValueInvalid,
    SourceRefused,
    StoredBytesBroken,
    StudyChanged,
    StudyMismatch,
    StudyMisplaced,
    StudyNotFound,
    UpkeepRunning,
    WasErased,
    WrongPermit,
)
from troth.archive.frames import StoredFrame
from troth.archive.identifying import Identifying, Written
from troth.archive.importing import Imported, Importing
from troth.archive.media import Exported, FolderMedium, MediaWriter, listed_as
from troth.archive.merging import ByRule, Merging
from troth.archive.model import (
    Correctable,
    Corrected,
    Erasure,
    Found,
    InstanceRecord,
    Level,
    Match,
    Outcome,
    Page,
    PastCorrection,
    Query,
    Received,
    SeriesRecord,
    StudySummary,
    Verified,
)
from troth.archive.quarantine import Against, Comparison, Quarantine, Resolved, Side
from troth.archive.quarantine import Group as QuarantineGroup
from troth.archive.quarantine import Limits as QuarantineLimits
from troth.archive.receiver import Receiver
from troth.archive.rechecking import Broken, Choice, Rechecked
from troth.archive.searching import near_name_of
from troth.archive.service import Archive
from troth.archive.sweeping import GRACE, KEY_GRACE, Swept
from troth.archive.transcription import transcribed
from troth.archive.upkeep import Upkeep
from troth.archive.viewing import LASTS as VIEWING_LASTS
from troth.archive.viewing import Viewing

__all__ = [
    "ADVICE",
    "AGE",
    "CHANGES",
    "CORRECTABLE",
    "GRACE",
    "KEY_GRACE",
    "NEVER_EMPTY",
    "RETURNED_TAGS",
    "VIEWING_LASTS",
    "Against",
    "Archive",
    "Broken",
    "BulkValue",
    "ByRule",
    "CannotCoerce",
    "CannotResolve",
    "Census",
    "Change",
    "Changed",
    "Changes",
    "Choice",
    "Commitment",
    "Commitments",
    "Comparison",
    "Correctable",
    "Corrected",
    "CorrectionRefused",
    "DuplicateDiffers",
    "Erasure",
    "Exported",
    "FolderMedium",
    "Following",
    "Found",
    "Identifying",
    "Imported",
    "Importing",
    "InstanceRecord",
    "InstanceRefused",
    "Level",
    "Match",
    "MediaWriter",
    "Merging",
    "NoPixels",
    "NotStoredThatWay",
    "OtherPatient",
    "OtherStudy",
    "Outcome",
    "Page",
    "PastCorrection",
    "PermitExpired",
    "Quarantine",
    "QuarantineGone",
    "QuarantineGroup",
    "QuarantineLimits",
    "Query",
    "Received",
    "Receiver",
    "Rechecked",
    "Resolved",
    "SearchAmbiguous",
    "SearchKeyUnknown",
    "SearchTooBroad",
    "SearchValueInvalid",
    "SeriesRecord",
    "Side",
    "SourceRefused",
    "StoredBytesBroken",
    "StoredFrame",
    "StudyChanged",
    "StudyMismatch",
    "StudyMisplaced",
    "StudyNotFound",
    "StudySummary",
    "Swept",
    "Upkeep",
    "UpkeepRunning",
    "Verdict",
    "Verified",
    "Viewing",
    "WasErased",
    "Written",
    "WrongPermit",
    "advice_in",
    "advising",
    "is_returned",
    "keyword_of",
    "level_of",
    "listed_as",
    "near_name_of",
    "tag_of",
    "to_json",
    "to_json_text",
    "top_of",
    "transcribed",
    "vr_of",
]
