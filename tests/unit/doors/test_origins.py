"""Pages and viewer have names and cookies of their own; what is unclear about whose it is is refused."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from tests.common.deployment import COOKIE, Deployment, OpenDeployment
from troth.kit import clock
from troth.kit.errors import Unprocessable
from troth.main.settings import Address, require_names_apart

JSON = {"Accept": "application/dicom+json"}


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.mark.asvs("V3.5.4", "V9.2.2")
async def test_the_cookie_of_the_viewer_reads_images_there_and_nothing_else(place: Deployment) -> None:
    held, doctor = await place.study(), await place.staff("clinician")
    path = f"/dicomweb/studies/{held.uid}/metadata"
    pages, viewer = doctor.web.cookies[COOKIE], doctor.viewer.cookies[COOKIE]
    assert (await doctor.viewer.get(path, headers=JSON)).status_code == 200
    assert (await doctor.web.get(path, headers=JSON)).status_code == 200
    # Each is good at its own origin alone.
    for client, foreign in ((doctor.web, viewer), (doctor.viewer, pages)):
        client.cookies.clear()
        assert (await client.get(path, headers={**JSON, "Cookie": f"{COOKIE}={foreign}"})).status_code == 401
    seen = await doctor.web.get("/studies", headers={"Cookie": f"{COOKIE}={viewer}"})
    assert seen.headers["location"] == "/sign-in?over=1"
    # It writes nothing, though the browser says that the viewer's own page asks.
    kind = 'multipart/related; type="application/dicom"; boundary=x'
    headers = {"Cookie": f"{COOKIE}={viewer}", "Content-Type": kind, "Sec-Fetch-Site": "same-origin"}
    stored = await doctor.viewer.post("/dicomweb/studies", content=b"--x--", headers=headers)
    assert stored.status_code == 403
    # It ends with the session of the pages.
    await place.rooms.people.end_session(doctor.actor)
    with clock.moved(timedelta(seconds=2)):
        assert (await doctor.viewer.get(path, headers={**JSON, "Cookie": f"{COOKIE}={viewer}"})).status_code == 401


async def test_what_lets_the_viewer_in_counts_once_and_for_a_minute(place: Deployment) -> None:
    people, doctor = place.rooms.people, await place.staff("clinician")
    secret = await people.hand_over(doctor.actor)
    assert await people.enter_viewer(secret) is not None
    assert await people.enter_viewer(secret) is None
    late = await people.hand_over(doctor.actor)
    with clock.moved(timedelta(seconds=61)):
        assert await people.enter_viewer(late) is None
    for wrong in ("", "x", "é", late[:-2] + "AA", late[::-1]):
        assert await people.enter_viewer(wrong) is None
    other = await place.staff("clinician", place.second)
    entered = await people.enter_viewer(await people.hand_over(other.actor))
    assert entered is not None
    actor = await people.actor_of_viewer(entered.token)
    assert actor is not None
    assert (actor.id, actor.tenant) == (other.actor.id, place.second.id)
    assert await people.actor_of_session(entered.token) is None


@pytest.mark.asvs("V15.3.7")
async def test_two_sign_ins_or_two_hosts_in_one_request_are_refused(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    for client in (doctor.web, doctor.viewer):
        cookie = client.cookies[COOKIE]
        client.cookies.clear()
        for several in (f"{COOKIE}=planted; {COOKIE}={cookie}", f"{COOKIE}={cookie};a=b; {COOKIE}=planted"):
            answer = await client.get("/", headers={"Cookie": several})
            assert (answer.status_code, "two sign-ins" in answer.text) == (400, True)
            assert answer.headers["clear-site-data"] == '"cookies"'
        host = client.base_url.netloc.decode()
        twice = httpx.Request("GET", client.base_url, headers=[("Host", host), ("Host", "evil.example")])
        assert (await client.send(twice)).status_code == 400


async def test_content_in_a_coding_is_refused_for_that_at_every_door(place: Deployment) -> None:
    """RFC 9110 15.5.16: 415, with the codings that would be taken, and not a word about the content."""
    doctor, somebody = await place.staff("clinician"), place.anybody()
    stow = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    doors = (
        (doctor.viewer, "/dicomweb/studies", stow, b"--x--"),
        (doctor.web, "/dicomweb/studies", stow, b"--x--"),
        (somebody.web, "/sign-in", form, b"email=ada%40example.org"),
        (doctor.web, "/api/changes", form, b""),
    )
    for client, path, headers, content in doors:
        usual = (await client.post(path, content=content, headers=headers)).status_code
        assert usual != 415
        for coding in ("gzip", "GZIP", "identity, br", "deflate"):
            sent = gzip.compress(content)
            answer = await client.post(path, content=sent, headers={**headers, "Content-Encoding": coding})
            assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity"), path
            assert "Content-Encoding" in answer.json()["title"]
        for coding in ("identity", "Identity", ""):
            answer = await client.post(path, content=content, headers={**headers, "Content-Encoding": coding})
            assert (answer.status_code, answer.headers.get("accept-encoding")) == (usual, None), path
    assert (await somebody.web.get("/notice", headers={"Content-Encoding": "gzip"})).status_code == 200


async def test_a_browser_is_led_to_the_name_of_the_pages(place: Deployment) -> None:
    somebody = place.anybody()
    headers = {"Host": "127.0.0.1:8080", "Sec-Fetch-Mode": "navigate"}
    led = await somebody.web.get("/notice?for=users", headers=headers)
    assert (led.status_code, led.headers["location"]) == (307, "http://localhost:8080/notice?for=users")
    assert (await somebody.web.get("/notice", headers={"Host": "127.0.0.1:8080"})).status_code == 200


@pytest.mark.asvs("V3.3.1", "V3.3.3")
async def test_over_tls_browsers_keep_the_cookie_for_this_host_alone(open_deployment: OpenDeployment) -> None:
    secure = await open_deployment(
        "imaging-cloud", public_url="https://imaging.example", viewer_url="https://viewer.imaging.example"
    )
    held, doctor = await secure.study(), await secure.staff("clinician")
    for client in (doctor.web, doctor.viewer):
        cookie = client.cookies[COOKIE]
        client.cookies.clear()
        path = f"/dicomweb/studies/{held.uid}/metadata"
        assert (await client.get(path, headers={**JSON, "Cookie": f"{COOKIE}={cookie}"})).status_code == 401
        assert (await client.get(path, headers={**JSON, "Cookie": f"__Host-{COOKIE}={cookie}"})).status_code == 200
    patient = await secure.patient(held)
    token = patient.web.cookies[COOKIE]
    patient.web.cookies.clear()
    answer = await patient.web.get("/scans", headers={"Cookie": f"__Host-{COOKIE}={token}"})
    assert answer.status_code == 200


@pytest.mark.asvs("V3.5.4")
def test_one_name_for_both_is_refused_with_a_way_out(place: Deployment) -> None:
    settings = place.rooms.settings
    require_names_apart(settings)
    require_names_apart(replace(settings, public_url="https://a.example", viewer_url="https://b.example"))
    for one_name in (
        {"public_url": "https://a.example", "viewer_url": "https://a.example:8443"},
        {"http": Address("192.0.2.1", 8080), "viewer": Address("192.0.2.1", 8081)},
    ):
        with pytest.raises(Unprocessable) as refused:
            require_names_apart(replace(settings, **one_name))
        assert "viewer_url" in refused.value.hint
