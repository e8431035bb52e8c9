"""A station of a hospital: what it sends, what it runs, and how it asks the listener."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from tests.common.hospital import MODALITY, OUR_AE, Hospital
from tests.common.programs import run
from troth.doors import dimse

TITLES = ("-aet", MODALITY, "-aec", OUR_AE)


Result = TypeVar("Result")


@dataclass
class Door:
    """The listener, what is behind it, and what it holds."""

    hospital: Hospital
    listener: dimse.Listener
    files: list[Path]

    @property
    def port(self) -> int:
        return self.listener.port

    def sent(self, number: int = 0) -> Dataset:
        return pydicom.dcmread(self.files[number])


def renewed(name: str, **attributes: str) -> Dataset:
    """A file of the pydicom wheel under new UIDs, and with other attributes."""
    source = get_testdata_file(name, download=False)
    assert source is not None
    dataset = pydicom.dcmread(str(source))
    uids = {keyword: generate_uid() for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")}
    for keyword, value in (uids | attributes).items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def specimens(folder: Path) -> list[Path]:
    """Three studies of two people: one of two series in two syntaxes, one compressed, one with a name in Latin 1."""
    made: list[Path] = []

    def add(name: str, **attributes: str) -> Dataset:
        dataset = renewed(name, **attributes)
        made.append(folder / f"{len(made)}-{name}")
        dataset.save_as(made[-1])
        return dataset

    ann = {"PatientID": "A-1", "PatientName": "Specimen^Ann", "PatientBirthDate": "19700102", "PatientSex": "F"}
    ct = add("CT_small.dcm", **ann, StudyDate="20240105", AccessionNumber="ACC1")
    add("MR_small.dcm", **ann, StudyDate="20240105", AccessionNumber="ACC1", StudyInstanceUID=ct.StudyInstanceUID)
    add("MR_small_RLE.dcm", **ann, StudyDate="20240210", AccessionNumber="ACC2")
    add("rtplan.dcm", PatientID="B-1", PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100",
        StudyDate="20231231", AccessionNumber="ACC3")  # fmt: skip
    return made


async def send(port: int, files: list[Path]) -> None:
    code, said = await run("dcmsend", "-v", *TITLES, "127.0.0.1", port, *files)
    assert code == 0, said


async def talk(door: Door, ae: AE, work: Callable[[Association], Result], **options: Any) -> Result:
    """Do something with an association in a thread."""

    def in_thread() -> Result:
        association = ae.associate("127.0.0.1", door.port, ae_title=OUR_AE, **options)
        assert association.is_established
        try:
            return work(association)
        finally:
            association.release()

    return await asyncio.to_thread(in_thread)


def keys(level: str, **values: Any) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(asked, keyword, value)
    return asked


async def ask(
    door: Door, ae: AE, asked: Dataset, model: str = StudyRootQueryRetrieveInformationModelFind
) -> tuple[list[Dataset], Dataset, list[int]]:
    """Search; the matches, the last response, and the statuses of the pending ones."""
    ae.add_requested_context(model)

    def work(association: Association) -> tuple[list[Dataset], Dataset, list[int]]:
        found, statuses, last = [], [], Dataset()
        for status, identifier in association.send_c_find(asked, model):
            last = status
            if status.Status in (0xFF00, 0xFF01):
                statuses.append(int(status.Status))
                assert identifier is not None
                found.append(identifier)
        return found, last, statuses

    return await talk(door, ae, work)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
