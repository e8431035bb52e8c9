"""Every entry of the tables that the doors work by, tried from outside: transfer syntaxes, search keys, refusals."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)
from tools.statement.network import KEPT, REFUSED

from tests.common.node import MODALITY, OUR_AE, Access, NodeProcess, a_node
from tests.common.objects import Made
from tests.unit.archive.rooms import instance, to_file
from troth import dicom
from troth.archive import attributes, keyword_of, sequences, vr_of
from troth.dicom import syntaxes
from troth.doors.dicomweb import capabilities, retrieving, stow_metadata
from troth.doors.dimse import pdu

DEFLATED, EXPLICIT = syntaxes.DEFLATED, syntaxes.EXPLICIT_LITTLE
Level = tuple[str, str, str]
#: Attributes that the archive counts or knows from elsewhere: no value of their own can be sent.
COUNTED = {attributes.STUDY_SERIES_COUNT, attributes.STUDY_INSTANCE_COUNT, attributes.SERIES_INSTANCE_COUNT}


@dataclass
class Place:
    """A node, and what came in to be searched for."""

    node: NodeProcess
    access: Access
    wanted: Dataset
    other: Dataset

    def get(self, path: str, accept: str = "application/dicom+json", **parameters: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.access.reading}", "Accept": accept}
        return requests.get(f"{self.node.url}/dicomweb{path}", params=parameters, headers=headers, timeout=60)

    def stow(self, *files: bytes) -> requests.Response:
        body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files)
        headers = {
            "Authorization": f"Bearer {self.access.storing}",
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=b',
        }
        return requests.post(f"{self.node.url}/dicomweb/studies", body + b"--b--\r\n", headers=headers, timeout=60)

    def associate(self, *contexts: tuple[str, str]) -> Any:
        entity = AE(MODALITY)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
        for sop_class, syntax in contexts:
            entity.add_requested_context(sop_class, syntax)
        return entity.associate("127.0.0.1", self.node.ports["dicom"], ae_title=OUR_AE)

    def c_store(self, content: bytes) -> int:
        dataset = read(content)
        association = self.associate((dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID))
        try:
            return int(association.send_c_store(dataset).Status)
        finally:
            association.release()


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(content))


def path_of(dataset: Dataset) -> str:
    return f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


def value_of(tag: int, seed: int) -> Any:
    """A value of an attribute, another one for each seed."""
    by_name = {"Rows": 16, "Columns": 16, "BitsAllocated": 16, "NumberOfFrames": 1, "PixelRepresentation": 0}
    if keyword_of(tag) in by_name:
        return by_name[keyword_of(tag)] if seed == 1 else {"BitsAllocated": 8}.get(keyword_of(tag), 4)
    return {
        "DA": f"2024010{seed}", "TM": f"10{seed}112", "PN": f"Key{seed}^Tag {tag:08X}", "IS": str(40 + seed),
        "AS": f"03{seed}Y", "CS": f"K{seed}", "SH": f"{tag:08X} {seed}", "LO": f"Key {tag:08X} {seed}",
        "UI": generate_uid(),
    }[vr_of(tag)]  # fmt: skip


def filled(seed: int) -> bytes:
    """An instance in which every attribute of the index has a value."""
    dataset = read(instance())
    for level in attributes.LEVELS:
        for tag in attributes._SEALED[level]:
            if tag in sequences.KEPT:
                item = Dataset()
                for inner in sequences.KEPT[tag]:
                    setattr(item, keyword_of(inner), value_of(inner, seed))
                setattr(dataset, keyword_of(tag), [item])
            else:
                setattr(dataset, keyword_of(tag), value_of(tag, seed))
    dataset.TimezoneOffsetFromUTC = f"+0{seed}00"
    dataset.PhotometricInterpretation = f"MONOCHROME{seed}"
    dataset.Modality = {1: "CT", 2: "MR"}[seed]
    dataset.SOPClassUID = {1: CTImageStorage, 2: "1.2.840.10008.5.1.4.1.1.4"}[seed]
    dataset.PixelData = bytes(dataset.Rows * dataset.Columns * dataset.NumberOfFrames * dataset.BitsAllocated // 8)
    return to_file(dataset)


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Place]:
    with a_node("troth-registries-") as node:
        wanted, other = filled(1), filled(2)
        place = Place(node, await node.grant_access(), read(wanted), read(other))
        more = read(other)  # so that the counts of both differ
        more.SOPInstanceUID, more.SeriesInstanceUID = generate_uid(), generate_uid()
        answer = await asyncio.to_thread(place.stow, wanted, other, to_file(more))
        assert answer.status_code == 200, answer.text
        yield place


# -- transfer syntaxes ---------------------------------------------------------------------------------------------


def written_in(syntax: str) -> bytes:
    """An instance in a transfer syntax; what a codec would have made is noise, which is to be kept as it is."""
    dataset = read(instance())
    if syntax in syntaxes.NATIVE:
        if syntax == syntaxes.EXPLICIT_BIG:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        return _written(dataset, syntax)
    dataset.PixelData = encapsulate([bytes(range(1, 201)), b"\xff\xd8second"])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.NumberOfFrames = 2
    return _written(dataset, EXPLICIT, named=syntax)


def _written(dataset: Dataset, syntax: str, named: str = "") -> bytes:
    """In pydicom's own way; it writes every encapsulated syntax as explicit VR little endian, named or not."""
    made = BytesIO()
    dataset.file_meta.TransferSyntaxUID = named or syntax
    pydicom.dcmwrite(
        made, dataset, implicit_vr=syntax == syntaxes.IMPLICIT_LITTLE if named or syntax != DEFLATED else None,
        little_endian=syntax != syntaxes.EXPLICIT_BIG if named or syntax != DEFLATED else None,
        force_encoding=bool(named),
    )  # fmt: skip
    return made.getvalue()


@pytest.mark.conformance("syntax *")
@pytest.mark.parametrize("syntax", KEPT)
@pytest.mark.parametrize("door", ["network", "web"])
def test_every_transfer_syntax_is_kept(place: Place, syntax: str, door: str) -> None:
    content = written_in(syntax)
    sent = read(content)
    if door == "web":
        assert place.stow(content).status_code == 200
    else:
        association = place.associate((sent.SOPClassUID, syntax))
        assert association.is_established
        assert [str(one.transfer_syntax[0]) for one in association.accepted_contexts] == [syntax]
        association.release()
        if syntax in syntaxes.NATIVE or syntax in pydicom.uid.AllTransferSyntaxes:
            assert place.c_store(content) == 0
        else:
            pytest.skip("accepted; pynetdicom cannot send in it")
    answer = place.get(path_of(sent), 'application/dicom; transfer-syntax="*"')
    assert answer.status_code == 200, answer.text
    held = read(answer.content)
    assert held.file_meta.TransferSyntaxUID == (EXPLICIT if syntax == DEFLATED else syntax)
    assert held.PixelData == sent.PixelData
    assert held == sent


@pytest.mark.conformance("refused syntax *")
@pytest.mark.parametrize("syntax", REFUSED)
def test_other_transfer_syntaxes_are_not_accepted(place: Place, syntax: str) -> None:
    association = place.associate((CTImageStorage, syntax), (CTImageStorage, EXPLICIT))
    assert [str(one.transfer_syntax[0]) for one in association.accepted_contexts] == [EXPLICIT]
    assert [one.result for one in association.rejected_contexts] == [4]
    association.release()


@pytest.mark.conformance("STOW takes part *", "frames *")
@pytest.mark.parametrize("syntax", retrieving._CODEC_TYPES)
def test_every_kind_of_compressed_frame_comes_in_and_goes_out(place: Place, syntax: str) -> None:
    kind = retrieving._CODEC_TYPES[syntax]
    dataset = read(instance())
    del dataset.PixelData
    stream = b"\xff\xd8" + bytes(range(200)) + b"\xff\xd9"
    metadata = dataset.to_json_dict() | {"7FE00010": {"vr": "OB", "BulkDataURI": "urn:pixels"}}
    named = "" if stow_metadata._SYNTAXES[kind] == syntax else f"; transfer-syntax={syntax}"
    body = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + json.dumps([metadata]).encode()
    body += f"\r\n--b\r\nContent-Type: {kind}{named}\r\nContent-Location: urn:pixels\r\n\r\n".encode() + stream
    answer = requests.post(
        f"{place.node.url}/dicomweb/studies", body + b"\r\n--b--\r\n", timeout=60,
        headers={"Authorization": f"Bearer {place.access.storing}",
                 "Content-Type": 'multipart/related; type="application/dicom+json"; boundary=b'},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    for asked in (f'{kind}; transfer-syntax="{syntax}"', kind, 'application/octet-stream; transfer-syntax="*"'):
        frame = place.get(path_of(dataset) + "/frames/1", f'multipart/related; type="{asked.split(";")[0]}"'
                          + "".join(f";{one}" for one in asked.split(";")[1:]))  # fmt: skip
        assert frame.status_code == 200, frame.text
        head, _, content = frame.content.partition(b"\r\n\r\n")
        assert f"{asked.split(';')[0]};transfer-syntax={syntax}".encode() in head
        assert content.startswith(stream)
    assert place.get(path_of(dataset) + "/frames/1", "application/octet-stream").status_code == 406
    assert read(place.get(path_of(dataset), "application/dicom").content).file_meta.TransferSyntaxUID == syntax


# -- search keys ---------------------------------------------------------------------------------------------------


def keys() -> list[tuple[str, int]]:
    """Every attribute of the index with its level; of a sequence each attribute in it."""
    found = []
    for level in attributes.LEVELS:
        for tag in sorted(attributes._CLEAR[level] | attributes._SEALED[level]):
            inner = sequences.KEPT.get(tag)
            found += [(level, sequences.path(tag, one)) for one in sorted(inner)] if inner else [(level, tag)]
    return found


def sent_value(dataset: Dataset, tag: int, *, of_other: bool = False) -> str:
    sequence, inner = sequences.parts(tag)
    if sequence:
        return str(dataset[sequence][0][inner].value)
    if tag in COUNTED:
        return "2" if of_other and tag != attributes.SERIES_INSTANCE_COUNT else "1"
    known = {attributes.MODALITIES: dataset.Modality, attributes.SOP_CLASSES: dataset.SOPClassUID}
    value = known.get(tag) or dataset[tag].value
    return "\\".join(value) if isinstance(value, pydicom.multival.MultiValue) else str(value)


@pytest.mark.conformance("QIDO keys *", "checked returns", "checked sequence matching")
@pytest.mark.parametrize(("level", "tag"), keys(), ids=lambda one: one if isinstance(one, str) else keyword_of(one))
def test_every_key_is_matched_and_returned_over_the_web(place: Place, level: str, tag: int) -> None:
    wanted = place.wanted
    paths = {"study": "/studies", "series": "/series", "instance": "/instances"}
    both = {"StudyInstanceUID": f"{wanted.StudyInstanceUID},{place.other.StudyInstanceUID}"}
    if tag == attributes.SERIES_INSTANCE_COUNT:
        both = {"StudyInstanceUID": wanted.StudyInstanceUID}
    asked = both | {keyword_of(tag): sent_value(wanted, tag)}
    answer = place.get(paths[level], includefield="all", **asked)
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()
    assert found["0020000D"]["Value"] == [wanted.StudyInstanceUID]
    assert found["00081190"]["Value"][0].endswith({
        "study": f"/studies/{wanted.StudyInstanceUID}", "series": f"/series/{wanted.SeriesInstanceUID}",
        "instance": path_of(wanted),
    }[level])  # fmt: skip
    assert found["00080056"]["Value"] == ["ONLINE"]
    assert found[f"{attributes.top_of(tag):08X}"]["Value"], "what is matched is returned"
    nothing = {"UI": "1.2.3", "DA": "19990909", "TM": "2359", "IS": "999", "US": "999"}.get(vr_of(tag), "NEVER")
    assert place.get(paths[level], **(both | {keyword_of(tag): nothing})).status_code == 204


@pytest.mark.conformance("C-FIND keys *")
@pytest.mark.parametrize(
    ("level", "tag"), [one for one in keys() if not sequences.parts(one[1])[0]],
    ids=lambda one: one if isinstance(one, str) else keyword_of(one),
)  # fmt: skip
def test_every_key_is_matched_and_returned_over_the_network(place: Place, level: str, tag: int) -> None:
    wanted = place.wanted
    asked = Dataset()
    asked.QueryRetrieveLevel = {"study": "STUDY", "series": "SERIES", "instance": "IMAGE"}[level]
    both = [wanted.StudyInstanceUID, place.other.StudyInstanceUID]
    asked.StudyInstanceUID = both if level == "study" else wanted.StudyInstanceUID
    if level != "study":
        asked.SeriesInstanceUID = "" if level == "series" else wanted.SeriesInstanceUID
    if level == "instance":
        asked.SOPInstanceUID = ""
    if tag != 0x00080201:  # in an identifier it says how its own times are to be read
        value = sent_value(wanted, tag)
        setattr(asked, keyword_of(tag), int(value) if vr_of(tag) == "US" else value)
    found = c_find(place, asked, StudyRootQueryRetrieveInformationModelFind)
    assert [one.StudyInstanceUID for one in found if one.StudyInstanceUID == wanted.StudyInstanceUID]
    if tag != 0x00080201:
        assert len(found) == 1
        assert str(found[0][tag].value) == str(sent_value(wanted, tag)) or tag in (attributes.MODALITIES,)


@pytest.mark.conformance("C-FIND keys PATIENT")
@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"])
def test_every_key_of_a_patient(place: Place, keyword: str) -> None:
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.PatientID = "PATIENT", ""
    setattr(asked, keyword, str(place.wanted[keyword].value))
    (found,) = c_find(place, asked, PatientRootQueryRetrieveInformationModelFind)
    assert found.PatientID == place.wanted.PatientID
    assert str(found[keyword].value) == str(place.wanted[keyword].value)


def c_find(place: Place, asked: Dataset, model: str) -> list[Dataset]:
    association = place.associate((model, EXPLICIT))
    try:
        answers = list(association.send_c_find(asked, model))
    finally:
        association.release()
    assert answers[-1][0].Status == 0, hex(answers[-1][0].Status)
    return [identifier for _, identifier in answers[:-1] if identifier is not None]


@pytest.mark.conformance("identifier *", "association application context")
def test_how_we_name_ourselves(place: Place) -> None:
    association = place.associate((CTImageStorage, EXPLICIT))
    acceptor = association.acceptor
    assert acceptor.implementation_class_uid == pdu.IMPLEMENTATION_CLASS
    assert acceptor.implementation_version_name == pdu.IMPLEMENTATION_VERSION
    assert acceptor.primitive.application_context_name == pdu.APPLICATION_CONTEXT
    association.release()
    meta = read(place.get(path_of(place.wanted), "application/dicom").content).file_meta
    assert (meta.ImplementationClassUID, meta.ImplementationVersionName) == (
        dicom.IMPLEMENTATION_UID, dicom.IMPLEMENTATION_VERSION,
    )  # fmt: skip


@pytest.mark.conformance("GET *", "checked accept")
@pytest.mark.parametrize(
    ("path", "accept"),
    [(path, accept) for path, method, types in capabilities.RESOURCES if method == "GET" for accept in types],
)
def test_every_resource_answers_in_each_of_its_forms(place: Place, path: str, accept: str) -> None:
    uids = place.wanted
    if accept == "application/pdf":  # only a report in PDF is rendered as one
        report = Made(sop_class="1.2.840.10008.5.1.4.1.1.104.1", has_pixels=False).text(0x00080060, "CS", "DOC")
        report = report.put(0x00420011, "OB", b"%PDF-1.4 a report").text(0x00420012, "LO", accept)
        assert place.stow(report.file).status_code == 200
        uids = read(report.file)
    address = path.format(
        study=uids.StudyInstanceUID, series=uids.SeriesInstanceUID, instance=uids.SOPInstanceUID, frames="1",
        path="7FE00010",
    )  # fmt: skip
    asked: dict[str, str] = {}
    if path == "wado":
        asked = {"requestType": "WADO", "studyUID": uids.StudyInstanceUID, "seriesUID": uids.SeriesInstanceUID,
                 "objectUID": uids.SOPInstanceUID, "contentType": accept}  # fmt: skip
    if accept == "application/dicom" and path in ("studies/{study}", "studies/{study}/series/{series}"):
        accept = 'multipart/related; type="application/dicom"' if "multipart" in accept else accept
    answer = place.get(f"/{address}", accept, **asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(accept.replace("; ", ";").split(";")[0])
    assert answer.content
    assert answer.headers["cache-control"] == "private, no-store"


# -- refusals ------------------------------------------------------------------------------------------------------


def changed(dataset: Dataset, **attributes_of_it: str) -> bytes:
    copy = read(to_file(dataset))
    for keyword, value in attributes_of_it.items():
        setattr(copy, keyword, value)
    return to_file(copy)


@pytest.mark.conformance(
    "C-STORE 0111", "C-STORE C110", "C-STORE C111", "reason 0111", "reason C110", "reason C111", "HTTP 409"
)
@pytest.mark.parametrize("status", [0x0111, 0xC110, 0xC111])
def test_what_contradicts_what_is_held_is_refused_at_both_doors(place: Place, status: int) -> None:
    held = read(instance())
    assert place.stow(to_file(held)).status_code == 200
    content = {
        0x0111: changed(held, StudyDescription="Something else"),
        0xC110: changed(held, SOPInstanceUID=generate_uid(), PatientID="SOMEBODY-ELSE"),
        0xC111: changed(held, SOPInstanceUID=generate_uid(), StudyInstanceUID=generate_uid()),
    }[status]
    assert place.c_store(content) == status
    answer = place.stow(content)
    assert answer.status_code == 409
    (failure,) = answer.json()["00081198"]["Value"]
    assert failure["00081197"]["Value"] == [status]
    assert read(place.get(path_of(held), "application/dicom").content) == held, "what was held is as it was"


@pytest.mark.conformance("reason C122")
def test_a_transfer_syntax_of_nobody_is_refused(place: Place) -> None:
    dataset = read(instance())
    dataset.file_meta.TransferSyntaxUID = "1.2.3.4.5"
    made = BytesIO()
    pydicom.dcmwrite(made, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    answer = place.stow(made.getvalue())
    assert answer.status_code == 409
    (failure,) = answer.json()["00081198"]["Value"]
    assert failure["00081155"]["Value"] == [dataset.SOPInstanceUID]
    assert failure["00081197"]["Value"] == [0xC122]


@pytest.mark.conformance("media preamble")
def test_what_hides_in_a_preamble_does_not_leave_again(place: Place) -> None:
    content = instance()
    hidden = b"MZ" + zlib.compress(b"a program")
    assert place.stow(hidden.ljust(128, b"\x90") + content[128:]).status_code == 200
    given = place.get(path_of(read(content)), "application/dicom").content
    assert given[:132] == bytes(128) + b"DICM"
    assert read(given) == read(content)
