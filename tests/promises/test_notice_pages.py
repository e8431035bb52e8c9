"""Each person is shown the notices that apply to them: by audience, and by where they live."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.notice import Contact, Notice
from troth.people import Organisation

PATIENTS = "If you were scanned on one of our machines"
PROFESSIONALS = "For people who work with our machines"
READERS = "For readers of our pages"
SUPPLEMENT = "In the European Economic Area, in addition"


@pytest.fixture(scope="module")
async def maker(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("equipment-maker")


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def vendor(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("terminology-vendor")


def house(place: Deployment, region: str) -> Organisation:
    """The organisation of a deployment that is in a country."""
    return next(each for each in place.organisations if each.region == region)


def words(answer: httpx.Response) -> str:
    """The words of a page, without markup."""
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def contacts_of(notice: Notice) -> list[Contact]:
    """The contacts that a notice names."""
    return [each for each in notice.clauses if isinstance(each, Contact)]


def headings(answer: httpx.Response) -> set[str]:
    """Which of the maker's notices a page shows."""
    said = words(answer)
    return {each for each in (PATIENTS, PROFESSIONALS, READERS, SUPPLEMENT) if each in said}


@pytest.mark.promise("EM-02")
@pytest.mark.promise("EM-20")
async def test_each_reader_is_shown_the_notices_that_apply(maker: Deployment) -> None:
    french, american = house(maker, "FR"), house(maker, "US")
    patient = await maker.patient(await maker.study(french))
    clinician = await maker.staff("clinician", american)
    colleague = await maker.staff("clinician", french)
    visitor = maker.anybody()

    assert headings(await patient.web.get("/notice")) == {PATIENTS}
    assert headings(await clinician.web.get("/notice")) == {PROFESSIONALS}
    assert headings(await colleague.web.get("/notice")) == {PROFESSIONALS, SUPPLEMENT}
    assert headings(await visitor.web.get("/notice", params={"for": "visitors", "in": "NL"})) == {READERS, SUPPLEMENT}
    assert headings(await visitor.web.get("/notice", params={"for": "visitors", "in": "US"})) == {READERS}


@pytest.mark.promise("EM-02")
async def test_each_notice_has_its_effective_date(maker: Deployment) -> None:
    visitor = maker.anybody()
    page = words(await visitor.web.get("/notice", params={"for": "visitors", "in": "NL"}))
    assert page.count("in force since 1 Nov") == 2


@pytest.mark.promise("EM-20")
async def test_the_choice_of_a_country_is_offered_where_it_matters(maker: Deployment) -> None:
    visitor = maker.anybody()
    page = await visitor.web.get("/notice", params={"for": "users"})
    assert headings(page) == {PROFESSIONALS}
    [link] = re.findall(r'href="(/notice\?for=users&amp;in=EEA)"', page.text)
    assert headings(await visitor.web.get(unescape(link))) == {PROFESSIONALS, SUPPLEMENT}
    assert "in=EEA" not in (await visitor.web.get("/notice", params={"for": "patients"})).text
    assert (await visitor.web.get("/notice", params={"for": "users", "in": "<b>"})).status_code == 404
    assert (await visitor.web.get("/notice", params={"for": "nobody"})).status_code == 404


@pytest.mark.promise("EM-29")
async def test_the_representative_comes_from_the_notice(maker: Deployment) -> None:
    contacts = [each for version in await maker.rooms.notices.current() for each in contacts_of(version.notice)]
    [(name, clause)] = {each.name: each for each in contacts if each.of == "representative"}.items()
    visitor = maker.anybody()
    for audience in ("visitors", "users", "patients"):
        page = words(await visitor.web.get("/notice", params={"for": audience, "in": "FR"}))
        assert name in page
        assert clause.email in page
        assert clause.post in page
    assert name not in words(await visitor.web.get("/notice", params={"for": "visitors", "in": "US"}))


@pytest.mark.promise("IC-01")
async def test_three_audiences_and_an_officer(cloud: Deployment) -> None:
    patient = await cloud.patient(await cloud.study())
    clinician = await cloud.staff("clinician")
    visitor = cloud.anybody()
    notice = (await cloud.rooms.notices.current())[0].notice
    covers = {cover.audience: cover.title for cover in notice.head.covers}
    officer = next(each for each in contacts_of(notice) if each.of == "dpo")

    shown = {
        "patients": words(await patient.web.get("/notice")),
        "users": words(await clinician.web.get("/notice")),
        "visitors": words(await visitor.web.get("/notice", params={"for": "visitors"})),
    }
    for audience, page in shown.items():
        assert covers[audience] in page
        assert not any(title in page for other, title in covers.items() if other != audience)
        assert officer.name in page
        assert officer.email in page
        surfaces = next(clause for clause in notice.clauses if clause.id == "1.1")
        assert surfaces.sentence(notice) in page


@pytest.mark.promise("TV-24", shows="pages")
async def test_the_contacts_stand_on_the_page(vendor: Deployment) -> None:
    visitor = vendor.anybody()
    for audience in ("visitors", "users"):
        page = words(await visitor.web.get("/notice", params={"for": audience}))
        for way in ("privacy@terminology-vendor.invalid", "+1 217 555 0160", "700 Placeholder Drive"):
            assert way in page


async def test_the_promises_of_every_notice_are_counted(maker: Deployment, vendor: Deployment) -> None:
    for place in (maker, vendor):
        clauses = [clause for version in await place.rooms.notices.current() for clause in version.notice.clauses]
        await place.looked()
        page = await place.anybody().web.get("/promises")
        statements = [clause for clause in clauses if clause.is_statement and not clause.not_yet]
        assert f"{len(clauses) - len(statements)} promises and {len(statements)} statements" in words(page)
        assert all(f'id="p{clause.id.replace(".", "-")}"' in page.text for clause in clauses)
