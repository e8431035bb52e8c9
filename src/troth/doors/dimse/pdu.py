"""PDUs of the DICOM upper layer as bytes: read an association request, write every answer.

Pure functions on bounded input; no sockets. Per: DICOM PS3.8 9.3, PS3.7 D.3.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from troth.doors.dimse.errors import InvalidPdu

ASSOCIATE_RQ = 0x01
ASSOCIATE_AC = 0x02
ASSOCIATE_RJ = 0x03
DATA = 0x04
RELEASE_RQ = 0x05
RELEASE_RP = 0x06
ABORT = 0x07

HEADER_BYTES = 6
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_CLASS = "2.25.267150947173389972094641954980909918170"
IMPLEMENTATION_VERSION = "TROTH_0_1"
MOST_CONTEXTS = 128  # odd ids 1 to 255, PS3.8 9.3.2.2

_ITEM_APPLICATION = 0x10
_ITEM_CONTEXT_RQ = 0x20
_ITEM_CONTEXT_AC = 0x21
_ITEM_ABSTRACT = 0x30
_ITEM_SYNTAX = 0x40
_ITEM_USER = 0x50
_ITEM_MAX_LENGTH = 0x51
_ITEM_IMPLEMENTATION_CLASS = 0x52
_ITEM_ROLE = 0x54
_ITEM_IMPLEMENTATION_VERSION = 0x55

_header = struct.Struct(">BxI")
_item = struct.Struct(">BxH")
_fragment = struct.Struct(">IBB")


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One presentation context as the peer proposes it."""

    id: int
    abstract_syntax: str
    syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """Our answer to a proposed context.

    Attributes:
        result: 0 accepted, 3 abstract syntax not supported, 4 transfer syntaxes not supported (PS3.8 9.3.3.2).
        syntax: The transfer syntax taken; of no meaning unless accepted.
    """

    id: int
    abstract_syntax: str
    result: int
    syntax: str

    @property
    def is_accepted(self) -> bool:
        """Whether messages may use this context."""
        return self.result == 0


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ, parsed.

    Attributes:
        max_pdu_bytes: Longest P-DATA-TF body the peer takes; 0 is no limit.
        roles: SOP classes for which the peer negotiates roles (PS3.7 D.3.3.4).
    """

    protocol_version: int
    called_ae: str
    calling_ae: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_pdu_bytes: int
    roles: tuple[str, ...]
    raw_titles: bytes


def parse_header(view: memoryview, at: int) -> tuple[int, int]:
    """Type and body length of the PDU whose header starts at `at`.

    Returns:
        The type and the length in bytes as announced: not yet to be believed.
    """
    kind, length = _header.unpack_from(view, at)
    return kind, length


def parse_fragment(view: memoryview, at: int, end: int) -> tuple[int, int, int]:
    """Header of the presentation data value at `at` inside a PDU that ends at `end`.

    Returns:
        Context id, message control bits, and where the value ends; it starts six bytes after `at`.

    Raises:
        InvalidPdu: The value does not fit in its PDU.
    Per: DICOM PS3.8 9.3.5.1.
    """
    if end - at < 6:
        raise InvalidPdu
    length, context_id, control = _fragment.unpack_from(view, at)
    stop = at + 4 + length
    if length < 2 or stop > end or control > 3:
        raise InvalidPdu
    return context_id, control, stop


def parse_associate_request(body: bytes) -> AssociateRequest:
    """Read the body of an A-ASSOCIATE-RQ (without its six byte header).

    Raises:
        InvalidPdu: A length, an id or a count cannot be.
    Per: DICOM PS3.8 9.3.2.
    """
    if len(body) < 68:
        raise InvalidPdu
    application_context = ""
    contexts: list[ProposedContext] = []
    max_pdu_bytes = 0
    roles: list[str] = []
    for kind, value in _items(body[68:]):
        if kind == _ITEM_APPLICATION:
            application_context = _uid(value)
        elif kind == _ITEM_CONTEXT_RQ:
            contexts.append(_proposed_context(value))
        elif kind == _ITEM_USER:
            max_pdu_bytes, roles = _user_items(value)
    ids = [context.id for context in contexts]
    if not contexts or len(contexts) > MOST_CONTEXTS or len(set(ids)) != len(ids):
        raise InvalidPdu
    return AssociateRequest(
        protocol_version=int.from_bytes(body[0:2], "big"),
        called_ae=_title(body[4:20]),
        calling_ae=_title(body[20:36]),
        application_context=application_context,
        contexts=tuple(contexts),
        max_pdu_bytes=max_pdu_bytes,
        roles=tuple(roles),
        raw_titles=body[4:36],
    )


def associate_accept(request: AssociateRequest, answers: Sequence[AnsweredContext], max_pdu_bytes: int) -> bytes:
    """A-ASSOCIATE-AC that answers `request`.

    Args:
        request: What the peer proposed; its AE titles go back unchanged.
        answers: One answer per proposed context.
        max_pdu_bytes: Longest P-DATA-TF body that we take.
    Per: DICOM PS3.8 9.3.3.
    """
    user = _pack(_ITEM_MAX_LENGTH, struct.pack(">I", max_pdu_bytes))
    user += _pack(_ITEM_IMPLEMENTATION_CLASS, IMPLEMENTATION_CLASS.encode())
    # we only receive: the peer is the user (SCU) of every class and never its provider
    user += b"".join(
        _pack(_ITEM_ROLE, struct.pack(">H", len(uid)) + uid.encode() + b"\x01\x00") for uid in request.roles
    )
    user += _pack(_ITEM_IMPLEMENTATION_VERSION, IMPLEMENTATION_VERSION.encode())
    body = struct.pack(">Hxx", 1) + request.raw_titles + bytes(32)
    body += _pack(_ITEM_APPLICATION, APPLICATION_CONTEXT.encode())
    for answer in answers:
        syntax = _pack(_ITEM_SYNTAX, answer.syntax.encode())
        body += _pack(_ITEM_CONTEXT_AC, bytes([answer.id, 0, answer.result, 0]) + syntax)
    body += _pack(_ITEM_USER, user)
    return _header.pack(ASSOCIATE_AC, len(body)) + body


def associate_reject(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ. Per: DICOM PS3.8 9.3.4."""
    return _header.pack(ASSOCIATE_RJ, 4) + bytes([0, result, source, reason])


def release_reply() -> bytes:
    """A-RELEASE-RP. Per: DICOM PS3.8 9.3.7."""
    return _header.pack(RELEASE_RP, 4) + bytes(4)


def abort(source: int, reason: int) -> bytes:
    """A-ABORT. Per: DICOM PS3.8 9.3.8."""
    return _header.pack(ABORT, 4) + bytes([0, 0, source, reason])


def command_pdus(context_id: int, command: bytes, max_pdu_bytes: int) -> bytes:
    """A command set as P-DATA-TF PDUs, ready for one write.

    Args:
        context_id: Presentation context of the message.
        command: The encoded command set.
        max_pdu_bytes: What the peer takes; 0 is no limit.
    """
    room = len(command) if max_pdu_bytes == 0 else max(1, max_pdu_bytes - 6)
    parts = [command[at : at + room] for at in range(0, len(command), room)]
    pdus = bytearray()
    for number, part in enumerate(parts, start=1):
        control = 0x03 if number == len(parts) else 0x01
        pdus += _header.pack(DATA, len(part) + 6) + _fragment.pack(len(part) + 2, context_id, control) + part
    return bytes(pdus)


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        if len(body) - at < 4:
            raise InvalidPdu
        kind, length = _item.unpack_from(body, at)
        at += 4
        if at + length > len(body):
            raise InvalidPdu
        yield kind, body[at : at + length]
        at += length


def _proposed_context(value: bytes) -> ProposedContext:
    if len(value) < 4 or value[0] % 2 == 0:
        raise InvalidPdu
    abstract_syntax = ""
    syntaxes: list[str] = []
    for kind, part in _items(value[4:]):
        if kind == _ITEM_ABSTRACT:
            abstract_syntax = _uid(part)
        elif kind == _ITEM_SYNTAX:
            syntaxes.append(_uid(part))
    return ProposedContext(value[0], abstract_syntax, tuple(syntaxes))


def _user_items(value: bytes) -> tuple[int, list[str]]:
    max_pdu_bytes = 0
    roles: list[str] = []
    for kind, part in _items(value):
        if kind == _ITEM_MAX_LENGTH and len(part) == 4:
            max_pdu_bytes = int.from_bytes(part, "big")
        elif kind == _ITEM_ROLE and len(part) >= 4:
            length = int.from_bytes(part[:2], "big")
            roles.append(_uid(part[2 : 2 + length]))
    if len(roles) > MOST_CONTEXTS:
        raise InvalidPdu
    return max_pdu_bytes, roles


def _uid(value: bytes) -> str:
    text = value.rstrip(b"\x00 ")
    # what we echo into our answer must be a UID and nothing else
    if len(text) > 64 or not all(byte in b"0123456789." for byte in text):
        raise InvalidPdu
    return text.decode("ascii")


def _title(value: bytes) -> str:
    if not all(0x20 <= byte < 0x7F and byte != 0x5C for byte in value.rstrip(b"\x00")):
        return ""  # no peer has an empty title, so it is refused like every unknown one
    return value.rstrip(b"\x00").decode("ascii").strip(" ")


def _pack(kind: int, value: bytes) -> bytes:
    return _item.pack(kind, len(value)) + value
