"""The command set of a DIMSE message: a small reader and writer of implicit VR little endian.

pydicom costs more than the whole of the rest of a C-STORE and is not used here. Per: DICOM PS3.7 6.3, 9.3, Annex E.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from troth.doors.dimse.errors import InvalidPdu

C_STORE_RQ = 0x0001
C_GET_RQ = 0x0010
C_FIND_RQ = 0x0020
C_MOVE_RQ = 0x0021
C_ECHO_RQ = 0x0030
N_EVENT_REPORT_RQ = 0x0100
N_ACTION_RQ = 0x0130
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000
NO_DATASET = 0x0101
WITH_DATASET = 0x0001

SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_WITHOUT = 0xFF01  # as PENDING, but an optional key is not supported (PS3.4 C.4.1.1.4)
CANCELLED = 0xFE00
UNRECOGNISED_OPERATION = 0x0211  # PS3.7 C.5.23
NOT_AUTHORISED = 0x0124  # PS3.7 C.5.11
CANNOT_UNDERSTAND = 0xC000  # PS3.4 B.2.3
PROCESSING_FAILURE = 0x0110  # PS3.7 C.5.20

_AFFECTED_CLASS = 0x0002
_REQUESTED_CLASS = 0x0003
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_RESPONDED_TO = 0x0120
_MOVE_DESTINATION = 0x0600
_PRIORITY = 0x0700
_DATASET_TYPE = 0x0800
_STATUS = 0x0900
_OFFENDING_ELEMENT = 0x0901
_ERROR_COMMENT = 0x0902
_AFFECTED_INSTANCE = 0x1000
_REQUESTED_INSTANCE = 0x1001
_EVENT_TYPE = 0x1002
_ACTION_TYPE = 0x1008
_REMAINING, _COMPLETED, _FAILED, _WARNING = 0x1020, 0x1021, 0x1022, 0x1023
_MOVED_FOR, _MOVED_FOR_MESSAGE = 0x1030, 0x1031
_N_REQUESTS = frozenset({N_ACTION_RQ})  # these name class and instance as requested, not as affected

_element = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class Command:
    """A request of the peer, or its response to one of ours.

    Attributes:
        field: Which operation, such as `C_STORE_RQ`.
        message_id: The peer's number for it; our answer carries it back.
        has_dataset: Whether a data set follows.
        sop_class: Affected SOP Class UID; empty where there is none, or something that is not a UID.
        instance_uid: Affected SOP Instance UID; the same.
        elements: All that was sent, by element number, as it was sent.
    """

    field: int
    message_id: int
    has_dataset: bool
    sop_class: str
    instance_uid: str
    elements: Mapping[int, bytes] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def responded_to(self) -> int:
        """Message ID Being Responded To, of a response or a C-CANCEL."""
        return _number(self.elements, _RESPONDED_TO, otherwise=0)

    @property
    def status(self) -> int:
        """Status of a response."""
        return _number(self.elements, _STATUS)

    @property
    def requested_class(self) -> str:
        """Requested SOP Class UID of an N-ACTION."""
        return _uid(self.elements.get(_REQUESTED_CLASS, b""))

    @property
    def requested_instance(self) -> str:
        """Requested SOP Instance UID of an N-ACTION."""
        return _uid(self.elements.get(_REQUESTED_INSTANCE, b""))

    @property
    def action_type(self) -> int:
        """Action Type ID of an N-ACTION; 0 where there is none."""
        return _number(self.elements, _ACTION_TYPE, otherwise=0)

    @property
    def move_destination(self) -> str:
        """AE title a C-MOVE names; empty where it is none."""
        return self.elements.get(_MOVE_DESTINATION, b"").decode("ascii", "replace").strip(" \0")


@dataclass(frozen=True, slots=True)
class SubOperations:
    """How far the C-STOREs of a C-MOVE or C-GET are. Per: DICOM PS3.4 C.4.2.1.6 to C.4.2.1.9.

    Attributes:
        failed: Also those that were never tried because it was stopped.
    """

    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warning: int = 0


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
        elements=values,
    )


def response(
    command: Command,
    status: int,
    comment: str = "",
    *,
    has_dataset: bool = False,
    counts: SubOperations | None = None,
    offending: int = 0,
) -> bytes:
    """The encoded answer to a request.

    Args:
        command: What is answered.
        status: DIMSE status, 0 for success.
        comment: At most 64 characters for a person at the peer; never personal data.
        has_dataset: Whether a data set follows.
        counts: Of sub-operations; how many remain is told only while it goes on or when it was cancelled.
        offending: Tag of the element that could not be honoured; 0 for none.
    Per: DICOM PS3.7 9.3.1.2 to 9.3.5.2, 10.3.5.2, Annex C; PS3.4 tables C.4-1 to C.4-3.
    """
    is_n = command.field in _N_REQUESTS
    body = _encode_uid(_AFFECTED_CLASS, command.requested_class if is_n else command.sop_class)
    body += _encode_number(_COMMAND_FIELD, command.field | RESPONSE)
    body += _encode_number(_RESPONDED_TO, command.message_id)
    body += _encode_number(_DATASET_TYPE, WITH_DATASET if has_dataset else NO_DATASET)
    body += _encode_number(_STATUS, status)
    if offending:
        body += _encode(_OFFENDING_ELEMENT, struct.pack("<HH", offending >> 16, offending & 0xFFFF), b"")
    if comment:
        body += _encode(_ERROR_COMMENT, comment.encode("ascii", "replace")[:64], b" ")
    body += _encode_uid(_AFFECTED_INSTANCE, command.requested_instance if is_n else command.instance_uid)
    if is_n and command.action_type:
        body += _encode_number(_ACTION_TYPE, command.action_type)
    if counts is not None:
        if status in (PENDING, CANCELLED):
            body += _encode_number(_REMAINING, counts.remaining)
        body += _encode_number(_COMPLETED, counts.completed)
        body += _encode_number(_FAILED, counts.failed)
        body += _encode_number(_WARNING, counts.warning)
    return _whole(body)


def store_request(
    message_id: int, sop_class: str, instance_uid: str, *, moved_for: str = "", moved_for_message: int = 0
) -> bytes:
    """The encoded request of a C-STORE.

    Args:
        message_id: Our number for it.
        sop_class: SOP Class UID of the instance.
        instance_uid: Its SOP Instance UID.
        moved_for: AE title whose C-MOVE it belongs to, if one does.
        moved_for_message: Message ID of that C-MOVE.
    Per: DICOM PS3.7 9.3.1.1.
    """
    body = _encode_uid(_AFFECTED_CLASS, sop_class) + _encode_number(_COMMAND_FIELD, C_STORE_RQ)
    body += _encode_number(_MESSAGE_ID, message_id) + _encode_number(_PRIORITY, 0)
    body += _encode_number(_DATASET_TYPE, WITH_DATASET) + _encode_uid(_AFFECTED_INSTANCE, instance_uid)
    if moved_for:
        body += _encode(_MOVED_FOR, moved_for.encode("ascii", "replace")[:16], b" ")
        body += _encode_number(_MOVED_FOR_MESSAGE, moved_for_message)
    return _whole(body)


def event_report(message_id: int, sop_class: str, instance_uid: str, event_type: int) -> bytes:
    """The encoded request of an N-EVENT-REPORT with a data set.

    Args:
        message_id: Our number for it.
        sop_class: Affected SOP Class UID.
        instance_uid: Affected SOP Instance UID.
        event_type: Event Type ID.
    Per: DICOM PS3.7 10.3.1.1.
    """
    body = _encode_uid(_AFFECTED_CLASS, sop_class) + _encode_number(_COMMAND_FIELD, N_EVENT_REPORT_RQ)
    body += _encode_number(_MESSAGE_ID, message_id) + _encode_number(_DATASET_TYPE, WITH_DATASET)
    body += _encode_uid(_AFFECTED_INSTANCE, instance_uid) + _encode_number(_EVENT_TYPE, event_type)
    return _whole(body)


def _whole(body: bytes) -> bytes:
    return _element.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def _number(values: Mapping[int, bytes], element: int, otherwise: int | None = None) -> int:
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
