from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)

from tests.common import dimse as wire
from troth.doors.dimse import pdu
from troth.doors.dimse.errors import ProtocolFault


def of_pynetdicom(count: int = 3) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = pdu.APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = "MODALITY", "TROTH"
    contexts = [build_context(wire.CT) for _ in range(count)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 32768
    implementation.implementation_class_uid = "1.2.3"
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = wire.CT, True, True
    primitive.user_information = [length, implementation, role]
    encoded = A_ASSOCIATE_RQ()
    encoded.from_primitive(primitive)
    return bytes(encoded.encode())


def test_reads_what_pynetdicom_writes() -> None:
    request = pdu.parse_associate_request(of_pynetdicom()[6:])
    assert (request.calling_ae, request.called_ae, request.max_pdu_bytes) == ("MODALITY", "TROTH", 32768)
    assert [context.id for context in request.contexts] == [1, 3, 5]
    assert request.contexts[0].abstract_syntax == wire.CT
    assert len(request.contexts[0].syntaxes) == 4
    assert request.roles == (pdu.Role(wire.CT, True, True),)


def test_pynetdicom_reads_what_we_write() -> None:
    request = pdu.parse_associate_request(of_pynetdicom(2)[6:])
    answers = [pdu.AnsweredContext(1, wire.CT, 0, "1.2.840.10008.1.2"), pdu.AnsweredContext(3, wire.CT, 3, "1.2")]
    accepted = A_ASSOCIATE_AC()
    accepted.decode(pdu.associate_accept(request, answers, 131072))
    assert accepted.calling_ae_title == "MODALITY"
    assert [(c.context_id, c.result) for c in accepted.presentation_context] == [(1, 0), (3, 3)]
    assert accepted.user_information.maximum_length == 131072
    rejected = A_ASSOCIATE_RJ()
    rejected.decode(pdu.associate_reject(1, 1, 3))
    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (1, 1, 3)


@given(st.binary(max_size=400))
def test_random_bytes_are_a_fault_and_nothing_else(noise: bytes) -> None:
    for body in (noise, bytes(68) + noise):
        with pytest.raises(ProtocolFault):
            pdu.parse_associate_request(body)


@given(st.data())
def test_one_changed_byte_never_escapes_the_fault(draw: st.DataObject) -> None:
    body = bytearray(of_pynetdicom()[6:])
    body[draw.draw(st.integers(0, len(body) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolFault):
        pdu.parse_associate_request(bytes(body))


@pytest.mark.parametrize(
    "contexts",
    [
        b"",
        wire.context(2, wire.CT, ["1.2"]),
        wire.context(1, wire.CT, ["1.2"]) * 2,
        wire.context(1, "../../etc", ["1.2"]),
        wire.context(1, "1." + "2" * 63, ["1.2"]),
        b"\x20\x00\xff\xff",
        b"\x20",
    ],
    ids=["none", "even id", "same id twice", "not a UID", "65 characters", "length lies", "cut"],
)
def test_impossible_contexts(contexts: bytes) -> None:
    with pytest.raises(ProtocolFault):
        pdu.parse_associate_request(wire.associate_request(contexts=contexts)[6:])


def test_more_contexts_than_ids_exist() -> None:
    contexts = b"".join(wire.context(n % 256 | 1, wire.CT, ["1.2"]) for n in range(0, 400, 2))
    with pytest.raises(ProtocolFault):
        pdu.parse_associate_request(wire.associate_request(contexts=contexts)[6:])


@pytest.mark.parametrize("padded", [b"MODALITY\0       ", b"MODALITY\0\0 \0 \0\0\0", b"  MODALITY      "])
def test_what_fills_a_title_is_no_part_of_it(padded: bytes) -> None:
    octets = bytearray(wire.associate_request()[6:])
    octets[4:20] = octets[20:36] = padded
    request = pdu.parse_associate_request(bytes(octets))
    assert (request.called_ae, request.calling_ae) == ("MODALITY", "MODALITY")
    octets[20:36] = b"MODALITY\0OTHER  "
    assert pdu.parse_associate_request(bytes(octets)).calling_ae == ""


def test_a_title_that_is_not_text_is_nobody() -> None:
    octets = bytearray(wire.associate_request()[6:])
    octets[20:36] = b"MOD\x1b[31m\xff".ljust(16)
    assert pdu.parse_associate_request(bytes(octets)).calling_ae == ""


@given(st.binary(min_size=1, max_size=700), st.integers(0, 200))
def test_commands_are_cut_to_what_the_peer_takes(command: bytes, max_pdu: int) -> None:
    octets = pdu.command_pdus(3, command, max_pdu)
    parts, last = [], []
    while octets:
        kind, length = struct.unpack_from(">BxI", octets)
        assert kind == 4
        assert not max_pdu or length <= max(max_pdu, 7)
        size, number, control = struct.unpack_from(">IBB", octets, 6)
        assert (number, size) == (3, length - 4)
        parts.append(octets[12 : 6 + length])
        last.append(control)
        octets = octets[6 + length :]
    assert b"".join(parts) == command
    assert last == [1] * (len(parts) - 1) + [3]


@pytest.mark.parametrize(
    "value",
    [b"\0\0\0\1\1\3", b"\0\0\0\xff\1\3", b"\xff\xff\xff\xff\1\3", b"\0\0\0\2\1\7", b"\0\0\0"],
    ids=["under two", "beyond its PDU", "4 GB", "unknown control", "cut"],
)
def test_impossible_values(value: bytes) -> None:
    with pytest.raises(ProtocolFault):
        pdu.parse_fragment(memoryview(value), 0, len(value))
