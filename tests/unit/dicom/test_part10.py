from __future__ import annotations

from io import BytesIO

import pydicom

from tests.unit.dicom.files import CT, EXPLICIT, dataset
from troth.dicom import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION, is_uid, part10


def test_front_is_read_by_pydicom() -> None:
    read = pydicom.dcmread(BytesIO(part10(CT, "1.2.3", EXPLICIT) + dataset()))
    assert read.preamble == bytes(128)
    meta = read.file_meta
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CT, "1.2.3")
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == IMPLEMENTATION_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION
    assert is_uid(IMPLEMENTATION_UID)
    assert len(IMPLEMENTATION_VERSION) <= 16
    assert read.StudyInstanceUID == "1.2.4"
