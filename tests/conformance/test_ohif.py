"""OHIF in Chromium opens real files from a real node: an image is on the canvas, the console says no error.

A few of each modality and transfer syntax; `TROTH_OHIF=all` opens every real file with pixels. What the viewer cannot
show is named below, and a test says when that is no longer so.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO

import pydicom
import pytest
import requests
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, async_playwright
from reportlab.pdfgen.canvas import Canvas

from tests.common.arrivals import take_second_step_on
from tests.common.node import ORGANISATION, NodeProcess, a_node
from tests.common.objects import Made
from tests.common.programs import program
from tests.common.real_files import NO_INSTANCE, Sent, everything
from tests.journeys.conftest import FLAGS
from troth.dicom.specimens import retagged
from troth.main.first_start import permit_for
from troth.policy import Target

pytestmark = pytest.mark.journey
ALL = {name: one for name, one in everything().items() if name not in NO_INSTANCE and "PixelData" in one.dataset}
#: What the viewer does not show, and why. The frames it is given are compared with the files elsewhere.
NOT_SHOWN = {
    "test_files/JPEG2000-embedded-sequence-delimiter.dcm": "the stream is broken; pydicom reads it neither",
    "test_files/SC_rgb_rle_32bit.dcm": "its RLE decoder knows 8 and 16 bits",
    "test_files/SC_rgb_rle_32bit_2frame.dcm": "its RLE decoder knows 8 and 16 bits",
    "test_files/rtdose_rle.dcm": "its RLE decoder knows 8 and 16 bits",
    "test_files/rtdose_rle_1frame.dcm": "its RLE decoder knows 8 and 16 bits",
    "test_files/SC_ybr_full_422_uncompressed.dcm": "it takes native YBR_FULL_422 for three samples a pixel",
    "test_files/liver_1frame.dcm": "a segmentation alone is no image to it",
    "test_files/liver_expb_1frame.dcm": "a segmentation alone is no image to it",
    "data/liver.dcm": "a segmentation alone is no image to it",
    "data/liver_expb.dcm": "a segmentation alone is no image to it",
    "data/gdcm-US-ALOKA-16.dcm": "its palette comes in segments",
    "data/gdcm-US-ALOKA-16_big.dcm": "its palette comes in segments",
    "data/color-pl.dcm": "it does not know the retired ultrasound class",
    "data/color-px.dcm": "it does not know the retired ultrasound class",
    "data/RG1_J2KI.dcm": "it draws black, without a word; the server's picture is right",
    "data/RG1_J2KR.dcm": "it draws black, without a word; the server's picture is right",
    "data/RG1_UNCI.dcm": "it draws black, without a word; the server's picture is right",
    "data/RG1_UNCR.dcm": "it draws black, without a word; the server's picture is right",
}
#: Opened each time: modalities, transfer syntaxes, colour and frames of every kind.
USUAL = (
    "test_files/CT_small.dcm",  # CT, explicit
    "test_files/MR_small_bigendian.dcm",
    "test_files/image_dfl.dcm",  # deflated
    "test_files/MR_small_RLE.dcm",
    "test_files/MR_small_jpeg_ls_lossless.dcm",
    "test_files/JPEG2000.dcm",  # NM, lossy
    "test_files/JPEG-lossy.dcm",  # 12 bits
    "data/JPEG-LL.dcm",  # lossless JPEG, 16 bits
    "data/emri_small.dcm",  # MR of several frames
    "data/color3d_jpeg_baseline.dcm",  # US, colour, 120 frames
    "test_files/examples_ybr_color.dcm",  # US, colour, RLE, frames
    "test_files/ExplVR_BigEnd.dcm",  # US, colour, big endian
    "test_files/examples_palette.dcm",  # US, palette
    "test_files/rtdose_expb.dcm",  # 32 bits, big endian
    "data/RG3_J2KR.dcm",  # CR, MONOCHROME1
    "animals/cat.dcm",  # DX
    "dicom-cookies/image1.dcm",  # no modality at all
    "ultrasounds/ultrasound-multiframe.dcm",
)
NAMES = sorted(ALL) if os.environ.get("TROTH_OHIF") == "all" else [name for name in USUAL if name in ALL]
#: Distinct colours on the largest canvas, and how many of its pixels are not grey.
LOOK = """() => {
  const canvas = [...document.querySelectorAll('canvas')].sort((a, b) => b.width - a.width)[0];
  if (!canvas) return [0, 0];
  const copy = document.createElement('canvas');
  copy.width = copy.height = 256;
  const context = copy.getContext('2d');
  context.drawImage(canvas, 0, 0, 256, 256);
  const data = context.getImageData(0, 0, 256, 256).data, seen = new Set();
  let coloured = 0;
  for (let at = 0; at < data.length; at += 4) {
    seen.add(data[at] * 65536 + data[at + 1] * 256 + data[at + 2]);
    if (Math.max(Math.abs(data[at] - data[at + 1]), Math.abs(data[at + 1] - data[at + 2])) > 24) coloured++;
  }
  return [seen.size, coloured];
}"""
GREY = {"MONOCHROME1", "MONOCHROME2"}


@dataclass
class Room:
    """A clinician's browser, and the node it looks at."""

    node: NodeProcess
    context: BrowserContext
    sent: dict[str, Sent]
    storing: str  # a token

    async def opened(self, one: Sent, wait_seconds: float) -> tuple[list[int], list[str]]:
        """Open a study in the viewer: what is on the canvas, and what was said of faults."""
        page, said = await self.context.new_page(), list[str]()

        def listen(message: ConsoleMessage) -> None:
            if message.type == "error":
                said.append(message.text)

        page.on("console", listen)
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.on(
            "response", lambda answer: said.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
        )
        viewer = f"http://127.0.0.1:{self.node.ports['viewer']}"
        try:
            await page.goto(f"{viewer}/viewer?StudyInstanceUIDs={one.uids[0]}")
            until, look = time.monotonic() + wait_seconds, [0, 0]
            while time.monotonic() < until and look[0] < 2 and not said:
                look = await page.evaluate(LOOK)
                await page.wait_for_timeout(200)
            return look, said
        finally:
            await page.close()

    async def send(self, octets: bytes) -> None:
        """Store a file that is not among the real ones."""
        headers = {"Authorization": f"Bearer {self.storing}", "Content-Type": "application/dicom"}
        url = f"{self.node.url}/dicomweb/studies"
        answer = await asyncio.to_thread(requests.post, url, octets, headers=headers, timeout=120)
        assert answer.status_code == 200

    async def listed(self, study_uid: str, number: str) -> int:
        """How many studies the viewer lists as those of the patient of the one that is opened."""
        page = await self.context.new_page()
        try:
            async with page.expect_response(lambda answer: f"={number}&" in answer.url + "&", timeout=60_000):
                await page.goto(f"http://127.0.0.1:{self.node.ports['viewer']}/viewer?StudyInstanceUIDs={study_uid}")
            await page.locator("[data-cy=study-browser-thumbnail]").first.wait_for(timeout=60_000)
            await page.wait_for_timeout(1_000)  # what the search by number has answered is drawn
            return await page.locator("[data-cy=studyBrowser-panel] h3").count()
        finally:
            await page.close()


@pytest.fixture(scope="module")
async def room() -> AsyncIterator[Room]:
    with a_node("troth-ohif-") as node:
        access = await node.grant_access()
        async with node.rooms() as rooms:
            house = await rooms.people.organisation_named(ORGANISATION)
            permit = await permit_for(rooms, "administer", Target("organisation", house.id, house.id))
            user = await rooms.people.add_user(permit, house.id, "ohif@example.invalid", "Dr B. Specimen", "clinician")
            link = await rooms.people.issue_sign_in_link(permit, user.id)
        wanted = NAMES + [name for name in NOT_SHOWN if name in ALL and name not in NAMES]
        await asyncio.to_thread(send, node, access.storing, [ALL[name] for name in wanted])
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program("chromium"), args=list(FLAGS))
            yield Room(node, await signed_in(browser, re.sub(r"^http://[^/]+", node.url, link)), ALL, access.storing)
            await browser.close()


def send(node: NodeProcess, token: str, files: list[Sent]) -> None:
    for one in files:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/dicom"}
        answer = requests.post(f"{node.url}/dicomweb/studies", one.octets, headers=headers, timeout=120)
        assert answer.status_code == 200, one.name


async def signed_in(browser: Browser, link: str) -> BrowserContext:
    context = await browser.new_context(viewport={"width": 1000, "height": 700})
    page = await context.new_page()
    await page.goto(link)
    await page.get_by_role("button", name=re.compile("^Sign in")).click()
    await take_second_step_on(page)
    await page.close()
    return context


@pytest.mark.conformance("client OHIF")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_SHOWN])
async def test_the_viewer_shows_it(room: Room, name: str) -> None:
    one = room.sent[name]
    (shades, coloured), said = await room.opened(one, 60)
    assert said == []
    assert shades > 1, "the canvas is blank"
    if one.dataset.PhotometricInterpretation in GREY:
        assert not coloured


@pytest.mark.parametrize("name", [name for name in NOT_SHOWN if name in ALL and name in (NAMES if len(NAMES) > 99 else
                                  ["test_files/SC_rgb_rle_32bit.dcm"])])  # fmt: skip
async def test_what_the_viewer_cannot_show_is_named(room: Room, name: str) -> None:
    (shades, _), said = await room.opened(room.sent[name], 15)
    assert said or shades < 2, f"it is shown now, although {NOT_SHOWN[name]}"


@pytest.mark.conformance("client OHIF")
async def test_nobody_elses_studies_stand_beside_the_open_one(room: Room) -> None:
    """One number of two issuers is two people; the viewer asks by number alone (decision 0018)."""
    file = ALL["test_files/CT_small.dcm"].octets
    people = {"Own^Patient": "", "Northgates^Patient": "Northgate"}
    made = {
        name: retagged(file, seed=40 + at, PatientID="H-1001", PatientName=name, IssuerOfPatientID=issuer or None)
        for at, (name, issuer) in enumerate(people.items())
    }
    earlier = retagged(file, seed=50, PatientID="H-2002", PatientName="Two^Studies")
    later = retagged(file, seed=51, PatientID="H-2002", PatientName="Two^Studies")
    for octets in (*made.values(), earlier, later):
        await room.send(octets)
    assert await room.listed(study_of(earlier), "H-2002") == 2, "this is how the viewer lists a patient's other studies"
    assert await room.listed(study_of(made["Own^Patient"]), "H-1001") == 1


async def test_a_report_in_pdf_can_be_read(room: Room) -> None:
    """The viewer shows an encapsulated document in an object of this origin, which its policy has to let it."""
    made = Made(sop_class="1.2.840.10008.5.1.4.1.1.104.1", has_pixels=False).text(0x00080060, "CS", "DOC")
    made.put(0x00420011, "OB", _pdf()).text(0x00420012, "LO", "application/pdf")
    await room.send(made.file)
    page, said = await room.context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    address = re.compile(re.escape(made.instance) + "/rendered")
    try:
        async with page.expect_response(address, timeout=60_000) as given:
            await page.goto(f"http://127.0.0.1:{room.node.ports['viewer']}/viewer?StudyInstanceUIDs={made.study}")
        answer = await given.value
        assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")
        assert address.search(await page.locator("object").get_attribute("data") or "")
        assert not [text for text in said if "Content Security Policy" in text]
    finally:
        await page.close()


def _pdf() -> bytes:
    written = BytesIO()
    canvas = Canvas(written)
    canvas.drawString(72, 720, "A report")
    canvas.save()
    return written.getvalue()


def study_of(octets: bytes) -> str:
    return str(pydicom.dcmread(BytesIO(octets)).StudyInstanceUID)


def test_every_name_is_a_file() -> None:
    """Where all three packages are there; without `deid-data` its files are left out."""
    packages = {name.split("/")[0] for name in ALL}
    missing = {name for name in (*USUAL, *NOT_SHOWN) if name not in ALL and name.split("/")[0] in packages}
    assert missing == set()
