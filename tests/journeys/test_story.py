"""The story of the main job as its people live it, in a real browser; every page passes axe, both themes and widths."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.common.arrivals import take_second_step_on
from tests.common.node import ORGANISATION, NodeProcess
from tests.journeys.pages import faults_of
from troth.doors.dimse import scu
from troth.kit import clock
from troth.main.demo.cast import PATIENT_ID, Files, files
from troth.main.first_start import permit_for
from troth.policy import Target

pytestmark = pytest.mark.journey
EMAIL = "a.doe@example.invalid"


@dataclass
class Hospital:
    """What the journey's people know.

    Attributes:
        users: Ids of those who work there, by role.
    """

    node: NodeProcess
    files: Files
    users: dict[str, UUID]

    async def link(self, role: str) -> str:
        """A new sign-in link, which works once."""
        async with self.node.rooms() as rooms:
            house = await rooms.people.organisation_named(ORGANISATION)
            permit = await permit_for(rooms, "administer", Target("organisation", house.id, house.id))
            if self.users[role] in await rooms.people.forms_of_members(permit):  # each time on a device of its own
                await rooms.people.reset_by_operator(permit, self.users[role])
            link = await rooms.people.issue_sign_in_link(permit, self.users[role])
        return re.sub(r"^http://[^/]+", self.node.url, link)


@pytest.fixture(scope="module")
async def hospital(node: NodeProcess) -> Hospital:
    """Studies have arrived, people have been added."""
    made = files(clock.today())
    users = {}
    async with node.rooms() as rooms:
        house = await rooms.people.organisation_named(ORGANISATION)
        permit = await permit_for(rooms, "administer", Target("organisation", house.id, house.id))
        await rooms.people.add_peer(permit, house.id, "CT1", "127.0.0.1", 104)
        for role, name in (("clinician", "Dr B. Specimen"), ("office", "E. Fixture"), ("admin", "F. Dummy")):
            user = await rooms.people.add_user(permit, house.id, f"{role}@example.invalid", name, role)
            users[role] = user.id
    sent = await asyncio.to_thread(
        scu.send, [*made.old, *made.head], "127.0.0.1", node.ports["dicom"], calling_ae="CT1", called_ae="TROTH"
    )
    assert sent == [0] * len(sent)
    return Hospital(node, made, users)


async def signed_in(browser: Browser, hospital: Hospital, role: str) -> tuple[BrowserContext, Page]:
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(await hospital.link(role))
    await page.get_by_role("button", name=re.compile("^Sign in")).click()
    await take_second_step_on(page)
    return context, page


async def sound(browser: Browser, page: Page, pictures: Path, name: str) -> None:
    """The page that is open has no fault, and its pictures are kept."""
    assert await faults_of(browser, page, pictures / name) == []


async def picture_is_drawn(page: Page) -> None:
    """The viewer shows an image: its canvas holds more than one shade."""
    await page.wait_for_selector("canvas", timeout=60_000)
    shades = "() => { const c = [...document.querySelectorAll('canvas')].sort((a, b) => b.width - a.width)[0];" \
        " const k = document.createElement('canvas'); k.width = k.height = 64; const x = k.getContext('2d');" \
        " x.drawImage(c, 0, 0, 64, 64); const d = x.getImageData(0, 0, 64, 64).data;" \
        " return new Set(Array.from(d).filter((_, i) => i % 4 === 0)).size }"  # fmt: skip
    for _ in range(120):
        if await page.evaluate(shades) > 20:
            return
        await page.wait_for_timeout(500)
    pytest.fail("the viewer drew no image")


async def test_a_visitor_reads_the_notice_and_its_state(browser: Browser, hospital: Hospital, pictures: Path) -> None:
    page = await browser.new_page()
    for path, name in (
        ("/", "notice"),
        ("/promises", "promises"),
        ("/sign-in", "sign-in"),
        ("/notice/versions", "versions"),
    ):
        await page.goto(hospital.node.url + path)
        await sound(browser, page, pictures, name)
    await page.goto(hospital.node.url + "/studies")
    assert "/sign-in" in page.url or "Sign in" in await page.inner_text("body")
    cookies = await page.context.cookies()
    assert [cookie["name"] for cookie in cookies] == [], "a visitor gets no cookie without a choice"


async def test_a_clinician_finds_the_study_and_opens_it(browser: Browser, hospital: Hospital, pictures: Path) -> None:
    context, page = await signed_in(browser, hospital, "clinician")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    await page.goto(hospital.node.url + "/studies")
    await page.fill("input[name=q]", PATIENT_ID)
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name=re.compile("Doe")).first.click()
    await sound(browser, page, pictures, "studies")
    assert PATIENT_ID not in await page.title()
    await page.get_by_role("link", name="Open in viewer").click()
    await picture_is_drawn(page)
    await page.wait_for_timeout(1500)
    await page.screenshot(path=str(pictures / "viewer.png"))
    hosts = {re.sub(r"^(\w+://[^/]+).*", r"\1", url) for url in asked if not url.startswith(("blob:", "data:"))}
    assert hosts <= {hospital.node.url, f"http://127.0.0.1:{hospital.node.ports['viewer']}"}, "only our own two origins"
    await context.close()


async def test_the_patient_sees_asks_and_erases(browser: Browser, hospital: Hospital, pictures: Path) -> None:
    office, desk = await signed_in(browser, hospital, "clinician")
    await desk.goto(f"{hospital.node.url}/studies")
    await desk.keyboard.press("/")
    await desk.keyboard.type(PATIENT_ID)
    await desk.keyboard.press("Enter")
    await desk.wait_for_url("**/studies?s=*")
    assert PATIENT_ID not in desk.url
    await desk.keyboard.press("ArrowDown")
    assert "Doe" in await desk.evaluate("document.activeElement.textContent")
    await desk.keyboard.press("Enter")
    await desk.get_by_role("link", name="Invite the patient").click()
    await desk.fill("input[name=email]", EMAIL)
    await sound(browser, desk, pictures, "invite")
    await desk.get_by_role("button", name="Send the invitation").click()
    code = re.search(r"\b(\d{3} ?\d{3})\b", await desk.inner_text("main"))
    assert code, "the clinic is shown the code to hand over"
    link = mailed(hospital.node.folder, "/invitation/")
    await office.close()

    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await page.goto(link.replace(re.match(r"http://[^/]+", link)[0], hospital.node.url))  # type: ignore[index]
    await sound(browser, page, pictures, "register")
    for name, value in {"name": "Archibald Doe", "day": "1", "month": "4", "year": "1950", "email": EMAIL}.items():
        await page.fill(f"input[name={name}]", value)
    await page.fill("input[name=code]", "000000" if code[1].replace(" ", "") != "000000" else "111111")
    await page.get_by_role("button", name="Show me my scans").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.fill("input[name=code]", code[1].replace(" ", ""))
    await page.get_by_role("button", name="Show me my scans").click()
    await page.wait_for_url(re.compile("/scans"))
    await sound(browser, page, pictures, "patient-home")
    await expect(page.get_by_text("Dr B. Specimen").first).to_be_visible()
    await page.goto(hospital.node.url + "/looked")
    await sound(browser, page, pictures, "patient-looked")
    await page.goto(hospital.node.url + "/scans")
    await page.get_by_role("link", name=re.compile("^Who looked at")).first.click()
    await expect(page.get_by_text("Dr B. Specimen").first).to_be_visible()
    await sound(browser, page, pictures, "patient-study")
    await page.goto(hospital.node.url + "/scans")
    await page.get_by_role("link", name=re.compile("^See the images of")).first.click()
    await look_through(page)
    await sound(browser, page, pictures, "patient-pictures")
    await page.get_by_role("link", name="full viewer").click()
    await picture_is_drawn(page)
    await page.screenshot(path=str(pictures / "viewer-phone.png"))

    await take_a_copy(browser, page, hospital, pictures)
    await erase_the_old_study(browser, page, hospital, pictures)
    await context.close()


async def look_through(page: Page) -> None:
    """The picture fills the width of the phone, and keys, slider and links lead to the others."""
    picture, told = page.locator(".stage img"), page.locator("[data-place]")
    await is_loaded(picture)
    box, width = await picture.bounding_box(), (page.viewport_size or {"width": 0})["width"]
    assert box is not None
    assert box["width"] > 0.9 * min(width, 600), "not a stamp beside panels"
    first, shown = await told.inner_text(), await picture.get_attribute("src")
    await page.keyboard.press("ArrowRight")
    await expect(told).not_to_have_text(first)
    await expect(picture).not_to_have_attribute("src", shown or "")
    await is_loaded(picture)
    await page.keyboard.press("ArrowLeft")
    await expect(told).to_have_text(first)
    await page.get_by_role("button", name="Next").click()
    await expect(told).not_to_have_text(first)
    await expect(page).to_have_url(re.compile("image="))


async def is_loaded(picture: Locator) -> None:
    for _ in range(100):
        if await picture.evaluate("each => each.complete && each.naturalWidth > 0"):
            return
        await asyncio.sleep(0.1)
    pytest.fail("the picture did not come")


async def take_a_copy(browser: Browser, page: Page, hospital: Hospital, pictures: Path) -> None:
    await page.goto(hospital.node.url + "/requests/new?right=access")
    await sound(browser, page, pictures, "ask-copy")
    await page.get_by_role("button", name="Ask for a copy").click()
    await until(page, "Download your copy")
    await sound(browser, page, pictures, "request-copy")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name=re.compile("^Download your copy")).click()
    archive = zipfile.ZipFile(io.BytesIO(Path(await (await coming.value).path()).read_bytes()))
    for line in archive.read("MANIFEST.TXT").decode().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256(archive.read(name)).hexdigest() == digest
    images = [name for name in archive.namelist() if name.startswith("DICOM/")]
    assert len(images) == len(hospital.files.old) + len(hospital.files.head)
    summary = await page.context.new_page()
    await summary.set_content(archive.read("INDEX.HTM").decode())
    await expect(summary.get_by_text("Dr B. Specimen").first).to_be_visible()
    await summary.screenshot(path=str(pictures / "copy-summary.png"), full_page=True)
    await summary.close()


async def erase_the_old_study(browser: Browser, page: Page, hospital: Hospital, pictures: Path) -> None:
    await page.goto(hospital.node.url + "/requests/new?right=erase")
    for box in await page.get_by_role("checkbox").all():
        await box.check()
    await page.get_by_role("button", name="Preview").click()
    await sound(browser, page, pictures, "erase-preview")
    await page.fill("input[name=sure]", "erase")
    await page.get_by_role("button", name=re.compile("^Erase 1 scan")).click()
    await until(page, "certificate of erasure")
    await sound(browser, page, pictures, "request-erase")
    body = await page.inner_text("main")
    assert "Refused" in body
    assert "2034" in body, "what is kept has its end date"
    await page.goto(hospital.node.url + "/scans")
    text = await page.inner_text("main")
    assert "CT head" in text
    assert "CT abdomen" not in text


async def test_the_privacy_office_sees_both_requests(browser: Browser, hospital: Hospital, pictures: Path) -> None:
    context, page = await signed_in(browser, hospital, "office")
    await page.goto(hospital.node.url + "/office/requests?queue=closed")
    await expect(page.get_by_text("R-2001").first).to_be_visible()
    await sound(browser, page, pictures, "office-requests")
    await page.get_by_role("link", name=re.compile("R-2002")).first.click()
    await sound(browser, page, pictures, "office-request")
    await context.close()


async def test_a_page_of_somebody_else_is_not_there(browser: Browser, hospital: Hospital, pictures: Path) -> None:
    context, page = await signed_in(browser, hospital, "admin")
    await page.goto(hospital.node.url + "/admin")
    await sound(browser, page, pictures, "admin")
    answer = await page.goto(hospital.node.url + "/scans")
    assert answer is not None
    assert answer.status == 404
    await sound(browser, page, pictures, "not-there")
    await context.close()


async def until(page: Page, words: str) -> None:
    """The page says it by itself: nobody reloads it."""
    await expect(page.locator("main")).to_contain_text(words, timeout=90_000)


def mailed(folder: Path, words: str) -> str:
    """The newest link in the outbox that holds these words."""
    for message in sorted((folder / "outbox").glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True):
        text = message.read_text().replace("=\n", "").replace("=3D", "=")
        found = re.search(rf"http://\S*{words}\S+", text)
        if found:
            return found[0]
    raise AssertionError("nothing was mailed")
