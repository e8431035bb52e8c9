"""Times by the clock of the account: on its pages, in its mails and in its copy; a time limit stays on its day."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.kit import clock
from troth.main.reminders import Reminders
from troth.people import ZONES
from troth.policy import Target
from troth.rights.reader import clock_for

TOKYO, YORK = ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")


@pytest.fixture
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


def to(month: int) -> timedelta:
    """From now to noon of a day of a month to come."""
    now = clock.now()
    there = now.replace(month=month, day=15, hour=12, minute=0)
    return (there if there > now else there.replace(year=now.year + 1)) - now


def said(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%-d %b %Y, %H:%M")


@pytest.mark.parametrize(("month", "hours"), [(1, -5), (7, -4)])
async def test_a_page_goes_by_the_accounts_clock_in_winter_and_in_summer(
    place: Deployment, month: int, hours: int
) -> None:
    with clock.moved(to(month)):
        doctor, other = await place.staff("clinician"), await place.staff("clinician")
        notices = re.findall(r"Times are [^<]+", before := (await doctor.web.get("/account")).text)
        assert (await doctor.post("/account/zone", {"zone": "America/New_York"})).headers["location"].startswith("/acc")
        page = (await doctor.web.get("/account")).text
        assert "Times are New York time" in page
        assert '<option value="America/New_York" selected>New York</option>' in page
        [since] = re.findall(r'<time datetime="([^"]+)">[^<]*</time><br>', page)
        began = datetime.fromisoformat(since)
        assert began.astimezone(YORK).utcoffset() == timedelta(hours=hours)
        assert f'<time datetime="{since}">{said(began, YORK)}</time>' in page
        assert f'<time datetime="{since}">{said(began, YORK)}</time>' not in before
        assert re.search(r"last on \d+ \w+ \d{4}, \d\d:\d\d, New York time", page), "what is held is said by it too"
        assert "Times are New York time" not in (await other.web.get("/account")).text, "nobody else's changed"
        await doctor.post("/account/zone", {"zone": ""})
        assert re.findall(r"Times are [^<]+", (await doctor.web.get("/account")).text) == notices


async def test_a_place_that_is_not_on_the_list_is_refused_at_its_field(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    await doctor.post("/account/zone", {"zone": "Asia/Tokyo"})
    for zone in ("Europe/Atlantis", "../../etc/passwd", "posix/Asia/Tokyo", "localtime"):
        refused = await doctor.post("/account/zone", {"zone": zone})
        assert refused.status_code == 422
        assert '<a href="#zone">Choose one of the places on the list</a>' in refused.text
        assert re.search(
            r'<select[^>]* id="zone"[^>]* aria-invalid="true" aria-describedby="[^"]*zone-fault"', refused.text
        )
        assert "Times are Tokyo time" in refused.text
    assert {"Asia/Calcutta", "Asia/Istanbul", "America/Buenos_Aires", "Australia/LHI"}.isdisjoint(ZONES)
    assert ">Buenos Aires, Argentina<" in refused.text
    assert set(re.findall(r'<option value="([^"]+)"', refused.text)) == set(ZONES)


@pytest.mark.parametrize(("month", "hours"), [(1, -5), (6, -4)])
async def test_a_mail_goes_by_it_and_a_time_limit_stays_on_its_day(place: Deployment, month: int, hours: int) -> None:
    limit = r"</b> <span>· by (\d+ \w+ \d+)"
    with clock.moved(to(month)):
        officer, patient = await place.staff("office"), await place.patient(await place.study())
        await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
        [before] = set(re.findall(limit, (await patient.web.get("/requests")).text))
        await patient.post("/account/zone", {"zone": "Pacific/Kiritimati"}, page="/account")
        page = (await patient.web.get("/requests")).text
        assert "Times are Kiritimati time" in page
        assert set(re.findall(limit, page)) == {before}
        await officer.post("/account/zone", {"zone": "America/New_York"})
        assert await Reminders(place.rooms).once() == 1
        permit = place.set_up_permit("administer", Target("organisation", place.first.id, place.first.id))
        [due] = await place.rooms.rights.waits(permit)
    assert due is not None
    assert due.astimezone(YORK).utcoffset() == timedelta(hours=hours)
    assert f"The next clock runs out on {said(due, YORK)}, New York time." in place.mails()[-1]


async def test_a_copy_goes_by_it(place: Deployment) -> None:
    patient = await place.patient(await place.study())
    await patient.post("/account/zone", {"zone": "Asia/Tokyo"}, page="/account")
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await place.fulfil()
    taken = await patient.web.get(asked.headers["location"])
    [href] = set(re.findall(r'href="(/requests/[^"]+/copy[^"]*)"', taken.text))
    with zipfile.ZipFile(io.BytesIO((await patient.web.get(href)).content)) as copy:
        page = copy.read("INDEX.HTM").decode()
        made_at = datetime.fromisoformat(json.loads(copy.read("HELD.JSON"))["made_at"])
    assert f"It was made on {said(made_at, TOKYO)}, Tokyo time" in page
    assert " UTC" not in page
    assert '<th scope="row">Times shown in</th><td>Asia/Tokyo</td>' in page


def test_accounts_that_do_not_agree_read_by_the_notice() -> None:
    london, at = ZoneInfo("Europe/London"), datetime(2026, 7, 31, 22, 59, 59, tzinfo=UTC)
    assert clock_for(["Asia/Tokyo", "Asia/Tokyo"], london).moment(at) == "1 Aug 2026, 07:59, Tokyo time"
    assert clock_for(["Asia/Tokyo", ""], london).moment(at) == "31 Jul 2026, 23:59, London time"
    assert clock_for(["Asia/Tokyo"], london).due_day(at) == "31 Jul 2026"
    assert clock_for([], UTC).moment(at) == "31 Jul 2026, 22:59 UTC"
