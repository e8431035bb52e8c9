"""PDUs of the DICOM upper layer as bytes: read an association request, write every answer.

Pure functions on bounded input; no sockets. Per: DICOM PS3.8 9.3, PS3.7 D.3.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
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
class Role:
    """What the requestor of an association is for a SOP class. Per: DICOM PS3.7 D.3.3.4."""

    sop_class: str
    is_scu: bool = True
    is_scp: bool = False


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ, parsed.

    Attributes:
        max_pdu_bytes: Longest P-DATA-TF body the peer takes; 0 is no limit.
        roles: What the peer wants to be where it is not the user alone.
    """

    protocol_version: int
    called_ae: str
    calling_ae: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_pdu_bytes: int
    roles: tuple[Role, ...]
    raw_titles: bytes


@dataclass(frozen=True, slots=True)
class AssociateAnswer:
    """A-ASSOCIATE-AC, parsed.

    Attributes:
        syntaxes: Transfer syntax of each context that was accepted, by its id.
        max_pdu_bytes: Longest P-DATA-TF body the peer takes; 0 is no limit.
        roles: The roles that were agreed.
    """

    syntaxes: Mapping[int, str]
    max_pdu_bytes: int
    roles: tuple[Role, ...]


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
    roles: list[Role] = []
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


def parse_associate_answer(body: bytes) -> AssociateAnswer:
    """Read the body of an A-ASSOCIATE-AC (without its six byte header).

    Raises:
        InvalidPdu: A length cannot be.
    Per: DICOM PS3.8 9.3.3.
    """
    if len(body) < 68:
        raise InvalidPdu
    syntaxes: dict[int, str] = {}
    max_pdu_bytes = 0
    roles: list[Role] = []
    for kind, value in _items(body[68:]):
        if kind == _ITEM_CONTEXT_AC:
            if len(value) < 4:
                raise InvalidPdu
            if value[2] == 0:
                syntaxes[value[0]] = next((_uid(part) for kind, part in _items(value[4:]) if kind == _ITEM_SYNTAX), "")
        elif kind == _ITEM_USER:
            max_pdu_bytes, roles = _user_items(value)
    return AssociateAnswer(syntaxes, max_pdu_bytes, tuple(roles))


def associate_request(
    calling_ae: str,
    called_ae: str,
    contexts: Sequence[ProposedContext],
    max_pdu_bytes: int,
    roles: Sequence[Role] = (),
) -> bytes:
    """A-ASSOCIATE-RQ.

    Args:
        calling_ae: Our AE title.
        called_ae: The peer's.
        contexts: What we propose; at most `MOST_CONTEXTS`.
        max_pdu_bytes: Longest P-DATA-TF body that we take.
        roles: Where we are not the user (SCU) alone.
    Per: DICOM PS3.8 9.3.2.
    """
    body = struct.pack(">Hxx", 1) + called_ae.encode().ljust(16)[:16] + calling_ae.encode().ljust(16)[:16] + bytes(32)
    body += _pack(_ITEM_APPLICATION, APPLICATION_CONTEXT.encode())
    for context in contexts:
        value = bytes([context.id, 0, 0, 0]) + _pack(_ITEM_ABSTRACT, context.abstract_syntax.encode())
        value += b"".join(_pack(_ITEM_SYNTAX, syntax.encode()) for syntax in context.syntaxes)
        body += _pack(_ITEM_CONTEXT_RQ, value)
    body += _pack(_ITEM_USER, _our_user_items(max_pdu_bytes, roles))
    return _header.pack(ASSOCIATE_RQ, len(body)) + body


def associate_accept(
    request: AssociateRequest, answers: Sequence[AnsweredContext], max_pdu_bytes: int, roles: Sequence[Role] = ()
) -> bytes:
    """A-ASSOCIATE-AC that answers `request`.

    Args:
        request: What the peer proposed; its AE titles go back unchanged.
        answers: One answer per proposed context.
        max_pdu_bytes: Longest P-DATA-TF body that we take.
        roles: What the peer may be; for a class without an answer it is the user (SCU) alone.
    Per: DICOM PS3.8 9.3.3.
    """
    user = _our_user_items(max_pdu_bytes, roles)
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


def release_request() -> bytes:
    """A-RELEASE-RQ. Per: DICOM PS3.8 9.3.6."""
    return _header.pack(RELEASE_RQ, 4) + bytes(4)


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
    return _fragments(context_id, command, max_pdu_bytes, 0x01, is_last=True)


def dataset_pdus(context_id: int, octets: bytes, max_pdu_bytes: int, *, is_last: bool) -> bytes:
    """A piece of a data set as P-DATA-TF PDUs, ready for one write.

    Args:
        context_id: Presentation context of the message.
        octets: The next bytes; may be empty where `is_last`.
        max_pdu_bytes: What the peer takes; 0 is no limit.
        is_last: Whether the data set ends with them.
    """
    return _fragments(context_id, octets, max_pdu_bytes, 0x00, is_last=is_last)


def _fragments(context_id: int, octets: bytes, max_pdu_bytes: int, control: int, *, is_last: bool) -> bytes:
    # fragments are of even length (PS3.8 Annex E); what a peer calls less than that gets as little as can be
    room = max(1, (max_pdu_bytes - 6) & ~1) if max_pdu_bytes else max(1, len(octets))
    pdus = bytearray()
    for at in range(0, max(1, len(octets)), room):
        part = octets[at : at + room]
        last = 0x02 if is_last and at + room >= len(octets) else 0x00
        pdus += _header.pack(DATA, len(part) + 6) + _fragment.pack(len(part) + 2, context_id, control | last) + part
    return bytes(pdus)


def _our_user_items(max_pdu_bytes: int, roles: Sequence[Role]) -> bytes:
    user = _pack(_ITEM_MAX_LENGTH, struct.pack(">I", max_pdu_bytes))
    user += _pack(_ITEM_IMPLEMENTATION_CLASS, IMPLEMENTATION_CLASS.encode())
    for role in roles:
        uid = role.sop_class.encode()
        user += _pack(_ITEM_ROLE, struct.pack(">H", len(uid)) + uid + bytes([role.is_scu, role.is_scp]))
    return user + _pack(_ITEM_IMPLEMENTATION_VERSION, IMPLEMENTATION_VERSION.encode())


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


def _user_items(value: bytes) -> tuple[int, list[Role]]:
    max_pdu_bytes = 0
    roles: list[Role] = []
    for kind, part in _items(value):
        if kind == _ITEM_MAX_LENGTH and len(part) == 4:
            max_pdu_bytes = int.from_bytes(part, "big")
        elif kind == _ITEM_ROLE and len(part) >= 4:
            length = int.from_bytes(part[:2], "big")
            if len(part) < length + 4:
                raise InvalidPdu
            roles.append(Role(_uid(part[2 : 2 + length]), part[2 + length] == 1, part[3 + length] == 1))
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
    text = value.strip(b"\x00 ")  # some end their title as C does, and fill with blanks what is left
    if not all(0x20 <= byte < 0x7F and byte != 0x5C for byte in text):
        return ""  # no peer has an empty title, so it is refused like every unknown one
    return text.decode("ascii")


def _pack(kind: int, value: bytes) -> bytes:
    return _item.pack(kind, len(value)) + value
