"""Independent clients against the DICOM listener: dcmtk's echoscu, storescu, dcmsend, and pynetdicom."""

from __future__ import annotations

import asyncio
import shutil
import zlib
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom import AE, build_role
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from tests.common.dimse import RecordingRooms, Served
from troth.doors.dimse import Limits

UNCOMPRESSED = ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "reportsi.dcm", "waveform_ecg.dcm", "rtdose_1frame.dcm"]
OTHER_SYNTAXES = [
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "JPEG-lossy.dcm",
    "SC_rgb_rle_2frame.dcm",
]


def file_of(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path))


async def run(program: str, *arguments: object) -> tuple[int, str]:
    """Run a client beside the listener; its end and what it said."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


class Door:
    """The listener with what is behind it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.port = served.port

    async def held(self) -> dict[tuple[str, str], Dataset]:
        """What was kept, by SOP Instance UID and transfer syntax (files of the wheel share UIDs)."""
        found = {}
        for received in self.served.rooms.archive.stored:
            syntax = pydicom.uid.UID(received.syntax)
            octets = received.dataset
            if syntax.is_deflated:
                octets = zlib.decompress(octets, -zlib.MAX_WBITS)
            dataset = read_dataset(BytesIO(octets), syntax.is_implicit_VR, syntax.is_little_endian)
            found[received.header.instance_uid, received.syntax] = dataset
        return found


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Served(RecordingRooms(), Limits(drain_seconds=1.0)) as served:
        yield Door(served)


@pytest.fixture
def modality() -> Iterator[AE]:
    ae = AE("MODALITY")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    yield ae
    ae.shutdown()


async def test_echoscu(door: Door) -> None:
    code, said = await run("echoscu", "-v", "-aet", "MODALITY", "-aec", "TROTH", "--repeat", 3, "127.0.0.1", door.port)
    assert code == 0, said
    assert said.count("Received Echo Response (Success)") == 3


async def test_echoscu_proposes_128_contexts(door: Door) -> None:
    code, said = await run(
        "echoscu", "-v", "-aet", "MODALITY", "-aec", "TROTH", "-ppc", 128, "-pts", 3, "127.0.0.1", door.port
    )
    assert code == 0, said


@pytest.mark.parametrize(("calling", "called"), [("STRANGER", "TROTH"), ("MODALITY", "OTHER")])
async def test_strangers_are_rejected_alike(door: Door, calling: str, called: str) -> None:
    code, said = await run("echoscu", "-v", "-aet", calling, "-aec", called, "127.0.0.1", door.port)
    assert code != 0
    assert "Calling AE Title Not Recognized" in said


@pytest.mark.parametrize("max_pdu", [4096, 131072])
async def test_storescu(door: Door, max_pdu: int) -> None:
    files = [file_of(name) for name in UNCOMPRESSED]
    code, said = await run(
        "storescu", "-v", "-aet", "MODALITY", "-aec", "TROTH", "--max-send-pdu", max_pdu, "127.0.0.1", door.port, *files
    )
    assert code == 0, said
    assert said.count("Received Store Response (Success)") == len(files)
    await same(door, files)


async def test_dcmsend_keeps_the_syntax_of_each_file(door: Door) -> None:
    files = [file_of(name) for name in OTHER_SYNTAXES]
    code, said = await run(
        "dcmsend", "-v", "-d", "-aet", "MODALITY", "-aec", "TROTH", "--decompress-never", "127.0.0.1", door.port, *files
    )
    assert code == 0, said
    await same(door, files)


async def same(door: Door, files: list[Path]) -> None:
    held = await door.held()
    for file in files:
        sent = pydicom.dcmread(file)
        kept = held[sent.SOPInstanceUID, sent.file_meta.TransferSyntaxUID]
        assert kept.get("PixelData") == sent.get("PixelData")
        assert meaningful(kept) == meaningful(sent)
        assert kept.PatientID == sent.PatientID


def meaningful(dataset: Dataset) -> set[int]:
    """Tags without group lengths, length to end and padding, which clients rewrite or leave out."""
    return {
        int(element.tag) for element in dataset if element.tag.element and element.tag not in (0x00080001, 0xFFFCFFFC)
    }


async def test_pynetdicom(door: Door, modality: AE) -> None:
    files = [file_of(name) for name in ("CT_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm")]
    datasets = [pydicom.dcmread(file) for file in files]
    modality.add_requested_context(Verification)
    for dataset in datasets:
        modality.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)

    def talk() -> list[int]:
        association = modality.associate("127.0.0.1", door.port, ae_title="TROTH", max_pdu=0)
        assert association.is_established
        codes = [association.send_c_echo().Status]
        codes += [association.send_c_store(dataset).Status for dataset in datasets]
        association.release()
        assert association.is_released
        return codes

    assert await asyncio.to_thread(talk) == [0] * 5
    await same(door, files)


async def test_roles_are_answered(door: Door, modality: AE) -> None:
    modality.add_requested_context(CTImageStorage)

    def talk() -> tuple[bool, bool]:
        role = build_role(CTImageStorage, scu_role=True, scp_role=True)
        association = modality.associate("127.0.0.1", door.port, ae_title="TROTH", ext_neg=[role])
        (context,) = association.accepted_contexts
        answer = (bool(context.as_scu), bool(context.as_scp))
        association.release()
        return answer

    assert await asyncio.to_thread(talk) == (True, False)


async def test_eight_clients_at_once(door: Door) -> None:
    file = file_of("CT_small.dcm")
    arguments = ("-aet", "MODALITY", "-aec", "TROTH", "--repeat", 5, "+IR", 3, "127.0.0.1", door.port, file)
    ends = await asyncio.gather(*(run("storescu", *arguments) for _ in range(8)))
    assert [code for code, _ in ends] == [0] * 8, ends
    assert len(door.served.rooms.archive.stored) == 40
