"""Reports that are instances: a PDF is given as a PDF, so that whoever looks at the study can read it.

Per: DICOM PS3.18 10.4.1.1.3 (rendered), 8.7.4; PS3.3 A.45.1 (Encapsulated PDF).
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from troth.archive import InstanceRecord, Viewing
from troth.doors.dicomweb.accept import PDF, Wanted
from troth.doors.dicomweb.answers import stream_answer

_DOCUMENT = "00420011"
_BEGINS = b"%PDF-"
#: The viewer shows it in an object of its own origin; nothing in it reaches anything.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Disposition": "inline",
}


async def document(viewing: Viewing, record: InstanceRecord, accepted: Sequence[Wanted]) -> Response | None:
    """The document of an instance as it is rendered; None where it is none, no PDF, or would not be taken as one.

    Args:
        viewing: Of its study.
        record: The instance.
        accepted: What the client would take.
    """
    if f"{record.bulk_tag or 0:08X}" != _DOCUMENT or not any(
        one.covers(PDF, multipart=one.is_multipart) for one in accepted
    ):
        return None
    value = await viewing.bulk_value(record, _DOCUMENT)
    if value is None or await value.read(0, len(_BEGINS)) != _BEGINS:
        return None
    return stream_answer(value.stream(), PDF, length_bytes=value.length_bytes, headers=_HEADERS)
