"""Coverage-guided fuzzing of what reads a stranger's bytes: `make fuzz TARGET=scanner RUNS=1000000`.

Each target may raise our own errors and nothing else; a run of more than two seconds of the processor, or a process of
more than 512 MB, ends the campaign as a finding. The corpus starts from real files of the pydicom wheel and from
messages made here; what is new to the instrumented code is kept under `build/fuzz/TARGET` for the next campaign.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import atheris

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "build" / "fuzz"
MOST_SEED_BYTES = 8 << 10
MOST_SECONDS = 2.0
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"

with atheris.instrument_imports(
    include=["troth.dicom", "troth.doors.dimse", "troth.doors.multipart", "troth.doors.media_types"]
):
    from troth import dicom
    from troth.doors import multipart
    from troth.doors.dimse import command, pdu, upper
    from troth.doors.dimse.limits import Limits
    from troth.kit.errors import TrothError


def scanner(octets: bytes) -> None:
    """A Part 10 stream in pieces; what is taken must reopen to the same, and its metadata must be JSON."""
    reader, bulk = dicom.Scanner(), []
    size = 300 + (octets[1] * 37 if len(octets) > 1 else 0)  # small pieces cost most of a run
    for at in range(0, len(octets), size):
        reader.feed(octets[at : at + size])
        bulk.append(reader.take_bulk())
    header = reader.finish()
    whole = b"".join(bulk)
    if header.bulk_bytes != len(whole):
        raise AssertionError("bulk bytes went astray")
    if dicom.reopen(header.head, header.syntax).instance_uid != header.instance_uid:
        raise AssertionError("what was taken reads otherwise the second time")
    _metadata(header)
    if header.has_pixels:
        table = dicom.frame_table(header, lambda start, stop: whole[start:stop])
        for number in range(1, min(table.count, 2) + 1):
            table.read(number, lambda start, stop: whole[start:stop])


def metadata(octets: bytes) -> None:
    """A bare data set in one of three transfer syntaxes, as DIMSE gives it, written as DICOM JSON."""
    syntax = (EXPLICIT, IMPLICIT, BIG)[octets[0] % 3] if octets else EXPLICIT
    reader = dicom.Scanner(syntax)
    reader.feed(octets[1:])
    reader.take_bulk()
    _metadata(reader.finish())


def _metadata(header: Any) -> None:
    told = dicom.to_json(header.head, header.syntax, "/bulkdata/", tail=header.tail)
    json.loads(json.dumps(told, allow_nan=False))


def association(octets: bytes) -> None:
    """Bytes on the socket of the DICOM listener, in pieces; each command set that arrives is read."""

    class User:
        def __init__(self) -> None:
            self.pieces = bytearray()

        def requested(self, request: pdu.AssociateRequest) -> None:
            waiting.append(request)  # decided later, as in the listener

        def fragment(self, context_id: int, is_command: bool, is_last: bool, chunk: memoryview) -> None:
            if is_command and len(self.pieces) < 4096:
                self.pieces += chunk
            if is_command and is_last:
                encoded, self.pieces = bytes(self.pieces), bytearray()
                command.response(command.parse(encoded), 0)

        def released(self) -> None:
            layer.close()

        def lost(self) -> None:
            pass

    layer: Any = None
    waiting: list[pdu.AssociateRequest] = []

    class Wire:
        """A transport that keeps nothing."""

        def __init__(self) -> None:
            self.is_over = False

        def get_extra_info(self, name: str) -> None:
            return None

        def is_closing(self) -> bool:
            return self.is_over

        def write(self, octets: bytes) -> None:
            pass

        def pause_reading(self) -> None:
            pass

        resume_reading = pause_reading

        def abort(self) -> None:
            self.is_over = True

        close = abort

    async def talk() -> None:
        transport: Any = Wire()
        nonlocal layer
        layer = upper.UpperLayer(Limits())
        layer.attach(User())
        layer.connection_made(transport)
        size = 1 + (octets[0] * 13 if octets else 0)
        for at in range(1, len(octets), size):
            piece = octets[at : at + size]
            while piece and not transport.is_closing():
                room = layer.get_buffer(len(piece))
                taken = min(len(room), len(piece))
                room[:taken] = piece[:taken]
                room.release()
                layer.buffer_updated(taken)
                piece = piece[taken:]
                for request in waiting:
                    answers = [
                        pdu.AnsweredContext(one.id, one.abstract_syntax, 0, EXPLICIT) for one in request.contexts
                    ]
                    layer.accept(pdu.associate_accept(request, answers, 16384), request.max_pdu_bytes)
                waiting.clear()
                if not taken:
                    return

    LOOP.run_until_complete(talk())


def parts(octets: bytes) -> None:
    """A multipart message in pieces: whatever the pieces are, the same parts come out."""
    first = _parts(octets[1:], 1 + octets[0]) if octets else []
    if first != _parts(octets[1:], max(1, len(octets))):
        raise AssertionError("other pieces, other parts")


def _parts(octets: bytes, size: int) -> list[object]:
    reader, told = multipart.PartReader("seam"), []
    try:
        for at in range(0, len(octets), size):
            for event in reader.feed(octets[at : at + size]):
                if not isinstance(event, memoryview):
                    told.append(event)
                elif told and isinstance(told[-1], bytearray):
                    told[-1] += event
                else:
                    told.append(bytearray(event))
    except TrothError as fault:
        told.append(fault.slug)
    return [bytes(one) if isinstance(one, bytearray) else one for one in told]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "scanner": scanner,
    "metadata": metadata,
    "association": association,
    "parts": parts,
}
LOOP = asyncio.new_event_loop()


def seeds(target: str) -> Iterator[bytes]:
    """What a campaign begins with."""
    from pydicom.data import get_testdata_files

    files = [
        path.read_bytes() for path in map(Path, get_testdata_files("*.dcm")) if path.stat().st_size <= MOST_SEED_BYTES
    ]
    if target == "scanner":
        yield from files
    elif target == "metadata":
        for octets in files:
            try:
                reader = dicom.Scanner()
                reader.feed(octets)
                header = reader.finish()
            except TrothError:
                continue
            yield bytes(
                [(EXPLICIT, IMPLICIT, BIG).index(header.syntax)] if header.syntax in (IMPLICIT, BIG) else [0]
            ) + (header.head)
    elif target == "association":
        yield from (b"\xff" + told for told in _conversations())
    else:
        head = b"--seam\r\nContent-Type: application/dicom\r\n\r\n"
        yield b"\x07" + head + b"DICM" * 40 + b"\r\n" + head + b"\r\n--seam--\r\n"
        yield b"\x01preamble\r\n" + head + b"\r\n--sea\r\n--seam \r\n\r\n--seam--"


def _conversations() -> Iterator[bytes]:
    """What pynetdicom says when it asks for an association, echoes and leaves."""
    from pynetdicom import AE
    from pynetdicom.pdu import A_ASSOCIATE_RQ, A_RELEASE_RQ
    from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
    from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

    ae = AE("MODALITY")
    ae.add_requested_context(Verification)
    ae.add_requested_context(CTImageStorage)
    for number, context in enumerate(ae.requested_contexts):
        context.context_id = 2 * number + 1
    asked = A_ASSOCIATE()
    asked.application_context_name = pdu.APPLICATION_CONTEXT
    asked.calling_ae_title, asked.called_ae_title = "MODALITY", "TROTH"
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 16382
    implementation.implementation_class_uid = "1.2.826.0.1.3680043.9.3811.2"
    asked.user_information = [longest, implementation]
    asked.presentation_context_definition_list = ae.requested_contexts
    request = A_ASSOCIATE_RQ()
    request.from_primitive(asked)
    opening = request.encode()
    echo = pdu.command_pdus(1, command.response(_echo(), 0), 16382)
    leaving = A_RELEASE_RQ().encode()
    yield opening
    yield opening + echo + leaving
    yield opening + echo * 3 + pdu.abort(0, 0)


def _echo() -> command.Command:
    return command.Command(0x0030, 1, False, "1.2.840.10008.1.1", "")


def main() -> None:
    """Run one campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="repeats a campaign on the same corpus")
    chosen = parser.parse_args()
    folder = CORPUS / chosen.target
    folder.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds(chosen.target)):
        (folder / f"seed-{number:04}").write_bytes(octets)
    target = TARGETS[chosen.target]

    def once(octets: bytes) -> None:
        began = time.process_time()  # of the processor: a busy machine is no finding
        with suppress(TrothError):
            target(octets)
        if time.process_time() - began > MOST_SECONDS:
            raise AssertionError("a run took too long")

    os.chdir(CORPUS)  # a finding is written where the fuzzer stands
    options = [f"-runs={chosen.runs}", f"-seed={chosen.seed}", f"-max_len={MOST_SEED_BYTES}", "-timeout=60",
               "-rss_limit_mb=512", "-print_final_stats=1", str(folder)]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
