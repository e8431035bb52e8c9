"""The command set of a DIMSE message: a small reader and writer of implicit VR little endian.

pydicom costs more than the whole of the rest of a C-STORE and is not used here. Per: DICOM PS3.7 6.3, 9.3, Annex E.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from troth.doors.dimse.errors import InvalidPdu

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000
NO_DATASET = 0x0101

SUCCESS = 0x0000
UNRECOGNISED_OPERATION = 0x0211  # PS3.7 C.5.23
NOT_AUTHORISED = 0x0124  # PS3.7 C.5.11
CANNOT_UNDERSTAND = 0xC000  # PS3.4 B.2.3
PROCESSING_FAILURE = 0x0110  # PS3.7 C.5.20

_AFFECTED_CLASS = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_RESPONDED_TO = 0x0120
_DATASET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_INSTANCE = 0x1000

_element = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class Command:
    """A request of the peer.

    Attributes:
        field: Which operation, such as `C_STORE_RQ`.
        message_id: The peer's number for it; our answer carries it back.
        has_dataset: Whether a data set follows.
        sop_class: Affected SOP Class UID; empty where there is none, or something that is not a UID.
        instance_uid: Affected SOP Instance UID; the same.
    """

    field: int
    message_id: int
    has_dataset: bool
    sop_class: str
    instance_uid: str


def parse(encoded: bytes) -> Command:
    """Read a whole command set.

    Raises:
        InvalidPdu: Lengths do not add up, an element is not of group 0000, or the request has no field.
    Per: DICOM PS3.7 6.3.1.
    """
    values: dict[int, bytes] = {}
    at = 0
    while at < len(encoded):
        if len(encoded) - at < 8:
            raise InvalidPdu
        group, element, length = _element.unpack_from(encoded, at)
        at += 8
        if group != 0 or at + length > len(encoded):
            raise InvalidPdu
        values[element] = encoded[at : at + length]
        at += length
    return Command(
        field=_number(values, _COMMAND_FIELD),
        message_id=_number(values, _MESSAGE_ID, otherwise=0),
        has_dataset=_number(values, _DATASET_TYPE) != NO_DATASET,
        sop_class=_uid(values.get(_AFFECTED_CLASS, b"")),
        instance_uid=_uid(values.get(_AFFECTED_INSTANCE, b"")),
    )


def response(command: Command, status: int, comment: str = "") -> bytes:
    """The encoded answer to a request.

    Args:
        command: What is answered.
        status: DIMSE status, 0 for success.
        comment: At most 64 characters for a person at the peer; never personal data.
    Per: DICOM PS3.7 9.3.1.2, 9.3.5.2, Annex C.
    """
    body = _encode_uid(_AFFECTED_CLASS, command.sop_class)
    body += _encode_number(_COMMAND_FIELD, command.field | RESPONSE)
    body += _encode_number(_RESPONDED_TO, command.message_id)
    body += _encode_number(_DATASET_TYPE, NO_DATASET)
    body += _encode_number(_STATUS, status)
    if comment:
        body += _encode(_ERROR_COMMENT, comment.encode("ascii", "replace")[:64], b" ")
    body += _encode_uid(_AFFECTED_INSTANCE, command.instance_uid)
    return _element.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def _number(values: dict[int, bytes], element: int, otherwise: int | None = None) -> int:
    value = values.get(element)
    if value is None and otherwise is not None:
        return otherwise
    if value is None or len(value) != 2:
        raise InvalidPdu
    return int.from_bytes(value, "little")


def _uid(value: bytes) -> str:
    # what we echo must be a UID and nothing else; the instance is then refused, and the association goes on
    text = value.rstrip(b"\x00 ")
    if len(text) > 64 or not all(byte in b"0123456789." for byte in text):
        return ""
    return text.decode("ascii")


def _encode(element: int, value: bytes, padding: bytes) -> bytes:
    if len(value) % 2:
        value += padding
    return _element.pack(0, element, len(value)) + value


def _encode_uid(element: int, uid: str) -> bytes:
    return _encode(element, uid.encode("ascii"), b"\x00") if uid else b""


def _encode_number(element: int, number: int) -> bytes:
    return _element.pack(0, element, 2) + struct.pack("<H", number)
