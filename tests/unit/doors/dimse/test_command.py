from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common import dimse as wire
from troth.doors.dimse import command
from troth.doors.dimse.errors import ProtocolFault


def test_store_request() -> None:
    request = command.parse(wire.store_command("1.2.3.4.5"))
    assert request == command.Command(1, 5, True, wire.CT, "1.2.3.4.5")


def test_echo_request() -> None:
    request = command.parse(wire.echo_command(77))
    assert (request.field, request.message_id, request.has_dataset) == (command.C_ECHO_RQ, 77, False)


@pytest.mark.parametrize("comment", ["", "odd", "even", "ünïcode", "x" * 100])
def test_pydicom_reads_our_answer(comment: str) -> None:
    encoded = command.response(command.parse(wire.store_command("1.2.3")), 0xA900, comment)
    answer = wire.pydicom_command(encoded)
    assert answer.CommandGroupLength == len(encoded) - 12
    assert (answer.CommandField, answer.Status, answer.MessageIDBeingRespondedTo) == (0x8001, 0xA900, 5)
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (wire.CT, "1.2.3")
    assert answer.CommandDataSetType == 0x0101
    assert len(answer.get("ErrorComment", "")) == min(len(comment), 64)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        wire.store_command()[:-3],
        wire.store_command() + b"\0" * 7,
        struct.pack("<HHI", 0, 0x100, 0xFFFFFFF0) + b"\1\0",
        struct.pack("<HHI", 8, 0x18, 2) + b"1\0",
        wire.element(0x100, b"\1\0\0\0") + wire.element(0x800, wire.short(1)),
        wire.element(0x100, wire.short(1)),
    ],
    ids=["empty", "cut", "more", "length lies", "other group", "long number", "no type"],
)
def test_impossible_commands(encoded: bytes) -> None:
    with pytest.raises(ProtocolFault):
        command.parse(encoded)


@pytest.mark.parametrize("uid", ["../../../etc", "1" * 65, "1.2\n"])
def test_what_is_not_a_uid_is_none_and_never_echoed(uid: str) -> None:
    request = command.parse(wire.store_command(uid))
    assert (request.instance_uid, request.sop_class) == ("", wire.CT)
    answer = wire.pydicom_command(command.response(request, 0xC000))
    assert "AffectedSOPInstanceUID" not in answer


@given(st.binary(max_size=200))
def test_random_bytes(noise: bytes) -> None:
    with contextlib.suppress(ProtocolFault):
        command.parse(noise)
