"""DICOMweb: STOW-RS, QIDO-RS and WADO-RS (DICOM PS3.18 chapter 10), streaming, each request decided and told.

The organisation comes from the session or token, never from the URL; what is not for a caller is not there.
"""

from troth.doors.dicomweb.app import INSTANCE_BYTES, create
from troth.doors.dicomweb.ports import Rooms

__all__ = ["INSTANCE_BYTES", "Rooms", "create"]
