"""Associations over TLS with dcmtk: both sides show a certificate, and the certificate says who a peer is."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]

from tests.common.certificates import self_signed
from tests.common.hospital import OUR_AE, Hospital, open_hospital
from tests.common.programs import program, run
from tests.common.servers import ServedDatabase
from troth.doors import dimse
from troth.doors.dimse.tls import client_context, fingerprint_of, server_context
from troth.kit.errors import Unprocessable
from troth.main.dicom_tls import dicom_tls
from troth.main.settings import Address, Settings
from troth.policy import Target
from troth.vault import Keyring

TITLES = ("-aet", "STATION", "-aec", OUR_AE)
Pair = tuple[Path, Path]


@dataclass
class Door:
    """The listener over TLS, with one peer known by its certificate."""

    hospital: Hospital
    listener: dimse.Listener
    folder: Path
    ours: Pair
    station: Pair  # of the registered peer
    neighbour: Pair  # of somebody whom the authority knows too
    nobody: Pair  # of somebody whom it does not know
    port_of_station: int

    def options(self, shown: Pair | None) -> tuple[str, ...]:
        ours = ("+cf", str(self.ours[0]))
        if shown is None:
            return ("+tla", *ours)
        return ("+tls", str(shown[1]), str(shown[0]), *ours)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
async def door(
    database: ServedDatabase, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("tls")
    hospital = await open_hospital(database, keyring, folder)
    pairs = [self_signed(folder, name) for name in ("troth", "station", "neighbour", "nobody")]
    known = folder / "known.pem"
    known.write_bytes(b"".join(chain.read_bytes() for chain, _ in pairs[:3]))
    inside = hospital.permit("administer", Target("organisation", hospital.organisation.id, hospital.organisation.id))
    port = free_port()
    await hospital.people.add_peer(
        inside, hospital.organisation.id, "STATION", "127.0.0.1", port,
        certificate=fingerprint_of(pairs[1][0].read_text()), over_tls=True,
    )  # fmt: skip
    ourselves = dimse.Ourselves(OUR_AE, client_context(*pairs[0], known))
    listener = dimse.create(hospital, dimse.Limits(drain_seconds=1.0), ourselves)
    await listener.start("127.0.0.1", 0, tls=server_context(*pairs[0], known))
    yield Door(hospital, listener, folder, pairs[0], pairs[1], pairs[2], pairs[3], port)
    await listener.stop()


def specimen(folder: Path) -> Path:
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.save_as(folder / "one.dcm")
    return folder / "one.dcm"


@pytest.mark.conformance("security TLS", "security certificate")
async def test_a_peer_is_its_certificate(door: Door) -> None:
    code, said = await run("echoscu", "-v", *door.options(door.station), *TITLES, "127.0.0.1", door.listener.port)
    assert code == 0, said
    (event,) = (await door.hospital.events("people:association:opened"))[:1]
    assert event.payload is not None
    assert (event.payload["actor"], event.payload["called_ae"]) == ("STATION", OUR_AE)


@pytest.mark.asvs("V12.1.3")
@pytest.mark.conformance("security certificate", "reject 1 1 3")
async def test_another_certificate_of_the_same_authority_is_rejected(door: Door) -> None:
    code, said = await run("echoscu", "-v", *door.options(door.neighbour), *TITLES, "127.0.0.1", door.listener.port)
    assert code != 0
    assert "Calling AE Title Not Recognized" in said


async def test_the_right_certificate_under_another_title_is_rejected(door: Door) -> None:
    code, said = await run(
        "echoscu",
        "-v",
        *door.options(door.station),
        "-aet",
        "MODALITY",
        "-aec",
        OUR_AE,
        "127.0.0.1",
        door.listener.port,
    )
    assert code != 0
    assert "Calling AE Title Not Recognized" in said


@pytest.mark.asvs("V12.1.3")
@pytest.mark.conformance("security TLS")
async def test_a_certificate_that_nobody_signed_and_none_at_all_get_no_connection(door: Door) -> None:
    for shown in (door.nobody, None):
        code, said = await run("echoscu", "-v", *door.options(shown), *TITLES, "127.0.0.1", door.listener.port)
        assert code != 0
        assert "Association Accepted" not in said
    code, said = await run("echoscu", "-v", *TITLES, "-to", 5, "127.0.0.1", door.listener.port)  # without TLS
    assert code != 0
    assert "Association Accepted" not in said


@pytest.mark.conformance("security certificate")
async def test_a_peer_with_a_certificate_is_never_taken_without(door: Door) -> None:
    plain = dimse.create(door.hospital, dimse.Limits(drain_seconds=1.0))
    await plain.start("127.0.0.1", 0)
    code, said = await run("echoscu", "-v", *TITLES, "127.0.0.1", plain.port)
    await plain.stop()
    assert code != 0
    assert "Calling AE Title Not Recognized" in said
    (event,) = (await strangers(door))[:1]
    assert event == {"calling_ae": "STATION", "called_ae": OUR_AE, "address": "127.0.0.1", "times": 1}


async def strangers(door: Door) -> list[dict[str, object]]:
    async with door.hospital.database.transaction(None) as connection:
        events = await door.hospital.ledger.latest(connection, kinds=["people:association:refused"], limit=10)
    return [one for event in events if event.payload is not None for one in event.payload["attempts"]]


@contextlib.asynccontextmanager
async def storescp(door: Door, folder: Path, shown: Pair) -> AsyncIterator[None]:
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        program("storescp"), "+tls", str(shown[1]), str(shown[0]), "+cf", str(door.ours[0]), "-aet", "STATION", "-od",
        str(folder), str(door.port_of_station), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(100):
        with contextlib.suppress(OSError):
            (await asyncio.open_connection("127.0.0.1", door.port_of_station))[1].close()
            break
        await asyncio.sleep(0.05)
    yield
    process.terminate()
    await process.wait()


@pytest.mark.asvs("V12.3.2")
async def test_store_find_get_and_move(door: Door, tmp_path: Path) -> None:
    file = specimen(tmp_path)
    study_uid = pydicom.dcmread(file).StudyInstanceUID
    here = ("127.0.0.1", door.listener.port)
    options = (*door.options(door.station), *TITLES)
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}")
    code, said = await run("storescu", "-v", *options, *here, file)
    assert code == 0, said
    code, said = await run("findscu", "-v", "-S", *options, *keys, *here)
    assert code == 0, said
    assert said.count("(Pending)") == 1
    async with storescp(door, tmp_path / "moved", door.station):
        assert await asyncio.to_thread(move, door, study_uid) == (0x0000, 1)
    assert len(list((tmp_path / "moved").iterdir())) == 1
    async with storescp(door, tmp_path / "stolen", door.neighbour):  # somebody else answers at that address
        assert await asyncio.to_thread(move, door, study_uid) == (0xA702, 0)
    assert list((tmp_path / "stolen").iterdir()) == []


def move(door: Door, study_uid: str) -> tuple[int, int]:
    """Ask for a C-MOVE with pynetdicom, dcmtk's own client speaks no TLS; the last status and how many went."""
    ae = AE("STATION")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    tls = client_context(*door.station, door.ours[0])
    association = ae.associate("127.0.0.1", door.listener.port, ae_title=OUR_AE, tls_args=(tls, None))
    assert association.is_established
    asked = pydicom.Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study_uid
    try:
        responses = list(association.send_c_move(asked, "STATION", StudyRootQueryRetrieveInformationModelMove))
    finally:
        association.release()
    last = responses[-1][0]
    return int(last.Status), int(last.NumberOfCompletedSuboperations)


@pytest.mark.conformance("security renewed certificate")
async def test_a_renewed_certificate_is_shown_without_a_restart(door: Door, tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path, "renewed")
    known = tmp_path / "known.pem"
    known.write_bytes(door.station[0].read_bytes())
    settings = Settings(
        tmp_path, dicom_tls_certificate=str(chain), dicom_tls_key=str(key), dicom_tls_ca=str(known)
    )  # fmt: skip
    shown = dicom_tls(settings)
    assert shown is not None
    listener = dimse.create(door.hospital, dimse.Limits(drain_seconds=1.0))
    await listener.start("127.0.0.1", 0, tls=shown.server)
    later = tmp_path / "later"
    later.mkdir()
    new = self_signed(later, "renewed")

    async def is_believed() -> bool:
        """By somebody who knows the new certificate alone."""
        identity = ("+tls", str(door.station[1]), str(door.station[0]), "+cf", str(new[0]))
        code, _ = await run("echoscu", *identity, *TITLES, "127.0.0.1", listener.port)
        return code == 0

    assert not await is_believed()
    for file, target in zip(new, (chain, key), strict=True):
        shutil.copy(file, target)
    assert shown.renewal.look()
    assert await is_believed()
    await listener.stop()


@pytest.mark.asvs("V12.3.1")
@pytest.mark.conformance("security plain beyond loopback")
def test_nothing_is_plain_beyond_this_machine_unasked(tmp_path: Path) -> None:
    loopback = Settings(tmp_path)
    assert dicom_tls(loopback) is None
    outside = replace(loopback, dicom=Address("192.0.2.1", 104))
    with pytest.raises(Unprocessable, match="without TLS"):
        dicom_tls(outside)
    assert dicom_tls(replace(outside, dicom_plain="allowed")) is None
    chain, key = self_signed(tmp_path)
    with pytest.raises(Unprocessable, match="in part"):
        dicom_tls(replace(outside, dicom_tls_certificate=str(chain), dicom_plain="allowed"))
    whole = replace(outside, dicom_tls_certificate=str(chain), dicom_tls_key=str(key), dicom_tls_ca=str(chain))
    assert dicom_tls(whole) is not None
    with pytest.raises(Unprocessable, match="cannot be used"):
        dicom_tls(replace(whole, dicom_tls_key=str(chain)))
