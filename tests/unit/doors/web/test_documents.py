"""What has no picture is said plainly, and reports are read as text, on the pages of patients and of the clinic."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from typing import Any

import pydicom
import pytest

from tests.common.objects import Made
from tests.unit.archive.rooms import instance
from tests.unit.doors.web.conftest import NEW, House
from troth import dicom
from troth.dicom import encode
from troth.doors import dicomweb, web
from troth.doors.web.documents import KINDS, MOST_ITEMS, MOST_LINES, kind_of, text_of
from troth.policy import Target

SR, PDF, ECG, PLAN = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("88.11", "104.1", "9.1.1", "481.5"))
NAME = "0040A043"


def code(tag: int, meaning: str) -> bytes:
    return encode.sequence(tag, [encode.text(0x00080100, "SH", "X") + encode.text(0x00080104, "LO", meaning)])


def item(kind: str, label: str, value: bytes, inner: list[bytes] | None = None) -> bytes:
    content = encode.text(0x0040A040, "CS", kind) + code(0x0040A043, label) + value
    return content + (encode.sequence(0x0040A730, inner) if inner else b"")


def report() -> Made:
    made = Made(sop_class=SR, has_pixels=False).text(0x00080060, "CS", "SR").text(0x0040A040, "CS", "CONTAINER")
    measured = encode.text(0x0040A30A, "DS", "12.5") + code(0x004008EA, "mm")
    tree = [
        item("CONTAINER", "Findings", b"", [
            item("TEXT", "Finding", encode.text(0x0040A160, "UT", "A nodule <b>in the left lung</b>")),
            item("NUM", "Diameter", encode.sequence(0x0040A300, [measured])),
            item("CODE", "Site", code(0x0040A168, "Upper lobe")),
        ]),
        item("DATE", "Seen on", encode.text(0x0040A121, "DA", "20240105")),
        item("PNAME", "Seen by", encode.text(0x0040A123, "PN", "Specimen^Dora")),
        item("IMAGE", "Shown in", b""),
    ]  # fmt: skip
    made.raw(0x0040A043, code(0x0040A043, "Chest report"))
    return made.raw(0x0040A730, encode.sequence(0x0040A730, tree))


def test_a_report_is_read_line_by_line() -> None:
    header, _ = dicom.scan(report().file)
    lines, is_cut = text_of(dicom.to_json(header.head, header.syntax))
    assert [(line.depth, line.label, line.value) for line in lines] == [
        (0, "Chest report", ""),
        (1, "Findings", ""),
        (2, "Finding", "A nodule <b>in the left lung</b>"),
        (2, "Diameter", "12.5 mm"),
        (2, "Site", "Upper lobe"),
        (1, "Seen on", "2024-01-05"),
        (1, "Seen by", "Specimen, Dora"),
        (1, "Shown in", "see an image"),
    ]
    assert not is_cut


def test_a_report_without_end_is_cut_and_one_that_is_odd_is_read_as_far_as_it_goes() -> None:
    one: dict[str, Any] = {"0040A040": {"Value": ["TEXT"]}, "0040A160": {"Value": ["x"]}}
    lines, is_cut = text_of({"0040A730": {"Value": [one] * (MOST_LINES + 1)}})
    assert (len(lines), is_cut) == (MOST_LINES, True)
    for empty in ({}, None):
        hollow: list[Any] = [empty] * MOST_ITEMS
        last = [one]
        assert text_of({"0040A730": {"Value": hollow[1:] + last}})[1], "the report counts, too"
        assert not text_of({"0040A730": {"Value": hollow[2:] + last}})[1]
    for odd in ({}, {"0040A730": {"Value": [None, 7, {"0040A040": {"Value": ["NUM"]}}]}}, {NAME: {"Value": [3]}}):
        assert text_of(odd) == ((), False)


@pytest.mark.parametrize(
    ("end", "kind"),
    [("88.33", "A report"), ("88.59", KINDS["88.59"]), ("104.1", "A document (PDF)"), ("9.4.1", "A sound recording"),
     ("9.1.1", KINDS["9."]), ("481.5", KINDS["481.5"]), ("2", ""), ("481.2", ""), ("77.1.6", ""), ("7", "")],
)  # fmt: skip
def test_what_it_is_in_plain_words(end: str, kind: str) -> None:
    assert kind_of(f"1.2.840.10008.5.1.4.1.1.{end}") == kind
    assert not kind_of(f"1.2.3.{end}")


async def test_both_pages_show_it_and_give_the_files(house: House) -> None:
    rooms, study = house.rooms, house.studies[NEW]
    seen = replace(house, app=web.create(rooms, dicomweb.create(rooms)))
    own = pydicom.dcmread(BytesIO(instance(StudyInstanceUID=NEW)))
    peer = await rooms.people.actor_of_peer("CT1", "TROTH", "127.0.0.1")
    assert peer is not None
    permit = await rooms.policy.require(peer, "store", Target("organisation", peer.tenant, peer.tenant), "care")
    paper = Made(sop_class=PDF, has_pixels=False).put(0x00420011, "OB", b"%PDF-1.4 paper")
    received = []
    for one in (report(), paper, Made(sop_class=ECG, has_pixels=False), Made(sop_class=PLAN, has_pixels=False)):
        one.text(0x0020000D, "UI", NEW).text(0x00100010, "PN", str(own.PatientName))
        one.text(0x00100020, "LO", own.PatientID).text(0x00100030, "DA", own.PatientBirthDate)
        receiver = rooms.archive.receiver(None)
        receiver.feed(one.file)
        received.append(receiver.finish())
    assert [each.state for each in await rooms.archive.store(permit, received)] == ["stored"] * 4
    for session, path, back in (
        (await house.session_of_patient(), f"/scans/{study}", f"/scans/{study}"),
        (await house.session_of("Dr B. Specimen"), f"/studies/{study}", f"/studies?study={study}"),
    ):
        async with seen.client(session) as reader:
            page = (await reader.get(f"{path}/documents")).text
            assert f'href="{back}"' in page
            for kind in ("A report", "A document (PDF)", KINDS["9."], KINDS["481.5"]):
                assert f">{kind}</h2>" in page
            assert "A nodule &lt;b&gt;in the left lung&lt;/b&gt;" in page
            assert "12.5 mm" in page
            assert "A program made this (structured report)" in page, "nobody stands for it"
            files = re.findall(r'href="(/dicomweb/[^"]*accept=application/dicom)"', page)
            assert len(files) == 4
            for file in files:
                assert (await reader.get(file)).content[128:132] == b"DICM"
            [paper_href] = re.findall(r'href="(/dicomweb/[^"]*accept=application/pdf)"', page)
            assert (await reader.get(paper_href)).content == b"%PDF-1.4 paper"
            assert f'href="{path}/documents"' in (await reader.get(back)).text
    async with house.client(await house.session_of("D. Admin")) as admin:
        assert (await admin.get(f"/studies/{study}/documents")).status_code == 404
