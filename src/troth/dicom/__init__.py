"""Byte-level DICOM as a library: no storage, no web.

A `Scanner` reads a stranger's instance as it arrives, checks its structure within limits and gives a `Header`; what
comes after works on the header's `head` and on ranges of the bulk. Other parsers see only what a scanner has passed.
"""

from troth.dicom import dictionary, metadata_in
from troth.dicom.correcting import Correction, corrected
from troth.dicom.dataset import reopen
from troth.dicom.dicomdir import Listed, write_dicomdir
from troth.dicom.drafts import Draft, draft
from troth.dicom.errors import (
    CannotCorrect,
    CannotRender,
    EncodingUnknown,
    HeadTooLarge,
    Malformed,
    NotDicom,
    SyntaxUnknown,
    TooDeep,
    Truncated,
    UidInvalid,
)
from troth.dicom.file_sets import MOST_BYTES as DICOMDIR_BYTES
from troth.dicom.file_sets import referenced_files
from troth.dicom.fragments import Fragments
from troth.dicom.frames import FrameTable, encapsulated_table, frame_table, stretches, swapped
from troth.dicom.header import Header, is_uid
from troth.dicom.metadata import BulkPlace, to_json
from troth.dicom.part10 import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION, part10
from troth.dicom.picture import DRAWING_BYTES, Picture
from troth.dicom.pictures import animate, render
from troth.dicom.plain import read_plain
from troth.dicom.recode import can_recode, recode, recoded_unit
from troth.dicom.scanner import Scanner, scan
from troth.dicom.syntaxes import is_video
from troth.dicom.transcript import BulkSearch, Transcript
from troth.dicom.walk import LIMITS, Limits

__all__ = [
    "DICOMDIR_BYTES",
    "DRAWING_BYTES",
    "IMPLEMENTATION_UID",
    "IMPLEMENTATION_VERSION",
    "LIMITS",
    "BulkPlace",
    "BulkSearch",
    "CannotCorrect",
    "CannotRender",
    "Correction",
    "Draft",
    "EncodingUnknown",
    "Fragments",
    "FrameTable",
    "HeadTooLarge",
    "Header",
    "Limits",
    "Listed",
    "Malformed",
    "NotDicom",
    "Picture",
    "Scanner",
    "SyntaxUnknown",
    "TooDeep",
    "Transcript",
    "Truncated",
    "UidInvalid",
    "animate",
    "can_recode",
    "corrected",
    "dictionary",
    "draft",
    "encapsulated_table",
    "frame_table",
    "is_uid",
    "is_video",
    "metadata_in",
    "part10",
    "read_plain",
    "recode",
    "recoded_unit",
    "referenced_files",
    "render",
    "reopen",
    "scan",
    "stretches",
    "swapped",
    "to_json",
    "write_dicomdir",
]
