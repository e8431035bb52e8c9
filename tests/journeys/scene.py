"""Every page of the web door, and a deployment in which each has something to show.

`PAGES` is a register: a route of the application that answers GET stands here with who opens it and where, or in
`NO_PAGES` with the reason why there is nothing to look at. `tests/unit/doors/web/test_pages_seen.py` compares it with
the routes, so that a page which nobody looks at fails a test; `test_every_page.py` opens each in a browser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from tests.common.deployment import Deployment, Held, Person
from tests.common.outside import SINCE, office_of
from tests.promises.test_changes import RECIPIENT, next_version, permits, with_clause
from tests.promises.test_sources import offer
from troth.dicom import specimens
from troth.kit import clock
from troth.people import Organisation
from troth.policy import Target

FULL = "imaging-host"
"""The deployment in which something happened on every page."""

LISTS = "terminology-vendor"
"""The one whose privacy office takes in lists of people."""

NO_PAGES = {
    "/": "leads on to one's own first page",
    "/robots.txt": "for search engines",
    "/ledger/checkpoint": "for programs that keep it",
    "/ledger/key": "for programs that check it",
    "/ledger/consistency": "for programs that check it",
    "/ledger/check_my_list.js": "a file",
    "/ledger/check_my_list.py": "a file",
    "/ledger/tile/{level}/{index:path}": "for programs that check it",
    "/health": "for a probe",
    "/notice/register.csv": "a file",
    "/notice/register.jsonld": "a file",
    "/second-step/app": "leads on to the second step, or to one's own factors",
    "/second-step/passkey": "likewise",
    "/scans/{id}/open": "leads on to the viewer",
    "/scans/{id}/cover": "a picture",
    "/studies/{id}/open": "leads on to the viewer",
    "/requests/{id}/copy": "a file",
    "/requests/{id}/certificate": "a file",
    "/choices/{id}/receipt.json": "a file",
    "/looked/list.json": "a file",
    "/office/notice/text": "a file",
    "/office/promises.json": "a file",
    "/account/copy.json": "a file",
    "/emergency/{id}/open": "leads on to the viewer",
    "/conflicts/{id}/pictures/{which}": "a picture",
    "/viewer-entry": "leads on to the viewer by itself",
}


@dataclass
class Scene:
    """A deployment with something on every page.

    Attributes:
        people: Who opens pages, by the name that `PAGES` gives them.
        places: What stands in for the parts of a route that are no fixed words, by route.
    """

    place: Deployment
    people: dict[str, Person]
    places: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spot:
    """One page.

    Attributes:
        route: As the application writes it.
        who: Who opens it.
        query: What is asked besides.
        everywhere: It says something else under each notice, so it is looked at under all of them.
        on: Otherwise, the deployment under whose notice it is looked at.
        but: A deployment whose notice gives this page to nobody.
        name: Of its pictures.
    """

    route: str
    who: str = "anybody"
    query: str = ""
    everywhere: bool = False
    on: str = FULL
    but: str = ""

    def is_on(self, deployment: str) -> bool:
        """Whether it is looked at under the notice of a deployment."""
        return deployment != self.but and (self.everywhere or self.on == deployment)

    @property
    def name(self) -> str:
        """Of its pictures: the words of its address."""
        words = re.findall(r"[a-z-]+", self.route.replace("{id}", "one") + self.query.replace("=", "-"))
        return "-".join(words) or "start"

    def path(self, scene: Scene) -> str:
        """Its address in a scene."""
        return scene.places.get(f"{self.route} {self.who}", scene.places.get(self.route, self.route)) + self.query


PAGES = (
    Spot("/notice", everywhere=True),
    Spot("/notice", "office", everywhere=True),
    Spot("/notice", query="?for=visitors&in=NL", everywhere=True),
    Spot("/notice/versions", everywhere=True),
    Spot("/notice/versions/{number:version}"),
    Spot("/notice/versions/{number:version}/changes"),
    Spot("/notice/register", everywhere=True),
    Spot("/promises", everywhere=True),
    Spot("/recipients", everywhere=True),
    Spot("/do-not-sell", everywhere=True),
    Spot("/ledger/check"),
    Spot("/sign-in"),
    Spot("/sign-in/sent"),
    Spot("/sign-in/{secret}"),
    Spot("/second-step", "halfway"),
    Spot("/second-step", "returning"),
    Spot("/invitation"),
    Spot("/invitation/{secret}"),
    Spot("/stop/{link}"),
    Spot("/scans", "patient"),
    Spot("/scans/{id}", "patient"),
    Spot("/scans/{id}/images", "patient"),
    Spot("/scans/{id}/documents", "patient"),
    Spot("/looked", "patient"),
    Spot("/given", "patient"),
    Spot("/given", "newcomer"),
    Spot("/requests", "patient"),
    Spot("/requests", "newcomer"),
    Spot("/requests/new", "patient", "?right=access"),
    Spot("/requests/new", "patient", "?right=erase"),
    Spot("/requests/{id}", "patient"),
    Spot("/choices", "patient"),
    Spot("/choices/stop", "patient", "?about=everything"),
    Spot("/choices", "office", everywhere=True),
    Spot("/choices/{id}", "patient"),
    Spot("/studies", "clinician"),
    Spot("/studies/{id}/invite", "clinician"),
    Spot("/office", "office", everywhere=True),
    Spot("/office", "newcomers_office"),
    Spot("/office/requests", "office", everywhere=True),
    Spot("/office/requests/{id}", "office"),
    Spot("/office/recipients", "office", everywhere=True, but="imaging-cloud"),
    Spot("/office/recipients", "newcomers_office"),
    Spot("/office/platform/recipients", "officer"),
    Spot("/office/platform/transfers", "officer"),
    Spot("/office/transfers", "office", everywhere=True, but="imaging-cloud"),
    Spot("/office/transfers", "newcomers_office"),
    Spot("/office/instructions", "office", everywhere=True, but="imaging-cloud"),
    Spot("/office/instructions", "newcomers_office"),
    Spot("/office/messages", "office"),
    Spot("/office/notice", "office"),
    Spot("/office/notice", "officer", everywhere=True),
    Spot("/office/notice/new", "officer", everywhere=True),
    Spot("/office/breaches", "officer"),
    Spot("/office/promises", "office", everywhere=True),
    Spot("/admin", "admin", everywhere=True),
    Spot("/admin/people/{id}", "admin"),
    Spot("/admin/systems", "admin", everywhere=True),
    Spot("/admin/systems/{id}", "admin"),
    Spot("/office/people", "office", everywhere=True),
    Spot("/admin/damaged", "admin", everywhere=True),
    Spot("/conflicts", "clinician"),
    Spot("/conflicts/{id}", "clinician"),
    Spot("/account", "clinician"),
    Spot("/account/factors", "clinician"),
    Spot("/account/factors", "patient"),
    Spot("/admin/factors", "admin"),
    Spot("/studies/{id}/care", "clinician"),
    Spot("/studies/{id}/documents", "clinician"),
    Spot("/studies/{id}/correct", "clinician"),
    Spot("/office/corrections", "office"),
    Spot("/admin/care", "admin"),
    Spot("/emergency", "clinician"),
    Spot("/emergency/{id}", "clinician"),
    Spot("/office/decisions", "office", everywhere=True),
    Spot("/office/holds", "office"),
    Spot("/office/emergencies", "office"),
    Spot("/office/patients", "office"),
    Spot("/office/patients", "newcomers_office"),
    Spot("/office/patients/{id}/{other}", "office"),
    Spot("/office/merges/{id}", "office"),
    Spot("/admin/numbers", "admin"),
    Spot("/lists", "office", on=LISTS),
    Spot("/lists/{id}", "office", on=LISTS),
    Spot("/lists/contacts", "office", on=LISTS),
    Spot("/lists/due", "office", on=LISTS),
    Spot("/lists/accounts", "office", on=LISTS),
)
"""Where a route is listed twice, it is two pages: one with something on it, one with nothing."""


async def full(place: Deployment, port: int) -> Scene:
    """A deployment with patients, where something happened on every page.

    Args:
        place: Under a notice with patients and registers.
        port: Of a DICOM node outside that takes what it is sent.
    """
    house, other = sorted((each for each in place.organisations if not each.operates), key=lambda each: each.region)
    held = await place.study(house, slices=2)
    scene = await bare(place, house)
    scene.people["patient"] = patient = await place.patient(held)
    scene.people["newcomer"] = await place.patient(await place.study(other))
    scene.people["clinician"] = doctor = await place.staff("clinician", house)
    await place.assign(doctor, held)
    claim = {"patient": held.made.patient_id, "issuer": "", "reason": "Unconscious after a fall, no team on call"}
    claimed = await doctor.post("/emergency", claim)
    assert claimed.status_code == 303, claimed.text
    conflict = await _conflict(place, scene, held)
    await _damaged(place, await place.study(house, slices=2))
    scene.people["newcomers_office"] = await place.staff("office", other)
    await _registers(place, house, held, port)
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await place.fulfil()
    answer = await patient.post("/choices", {"act": "object", "about": "administration"})
    assert answer.status_code == 303, answer.text
    [receipt, *_] = re.findall(r"/choices/[0-9a-f-]{36}", (await patient.web.get("/choices")).text)
    people = place.rooms.people
    invited = await people.invite_subject(place.set_up_permit("invite", held.subject), held.subject_id, "a@x.example")
    user = scene.people["admin"].user
    assert user is not None
    inside = place.set_up_permit("administer", Target("organisation", house.id, house.id))
    link = await people.issue_sign_in_link(inside, user.id)
    await _people(place, scene, house)
    scene.people |= await _halfway(scene)
    request = asked.headers["location"]
    scene.places |= {
        "/scans/{id}": f"/scans/{held.id}",
        "/scans/{id}/images": f"/scans/{held.id}/images",
        "/scans/{id}/documents": f"/scans/{held.id}/documents",
        "/studies/{id}/documents": f"/studies/{held.id}/documents",
        "/studies/{id}/care": f"/studies/{held.id}/care",
        "/studies/{id}/correct": f"/studies/{held.id}/correct",
        "/emergency/{id}": claimed.headers["location"],
        "/conflicts/{id}": conflict,
        "/requests/{id}": request,
        "/office/requests/{id}": f"/office{request}",
        "/choices/{id}": receipt,
        "/studies/{id}/invite": f"/studies/{held.id}/invite",
        "/invitation/{secret}": f"/invitation/{invited.secret}",
        "/sign-in/{secret}": f"/sign-in/{link.rpartition('/')[2]}",
    }
    scene.places["/stop/{link}"] = await _advertised(place, scene.people["office"], house)
    waiting = (await scene.people["office"].web.get("/office")).text
    scene.places["/office office"] = re.findall(r"/office\?item=[0-9a-f-]{36}", waiting)[0]
    await _merges(scene, house)
    await _versions(scene)
    await place.sequencer.drain()
    return scene


async def _people(place: Deployment, scene: Scene, house: Organisation) -> None:
    """Somebody invited, somebody who waits for a second person, a machine and a token."""
    admin, doctor = scene.people["admin"], scene.people["clinician"].user
    assert doctor is not None
    for role, name in (("admin", "N. Testcase"), ("office", "R. Replica")):
        fields = {"name": name, "email": f"{role}-invited@x.example", "role": role}
        assert (await admin.post("/admin", fields)).status_code == 303
    peer = await place.peer("MR1", house)
    await place.bearer("peer", "care", house)
    scene.places |= {
        "/admin/people/{id}": f"/admin/people/{doctor.id}",
        "/admin/systems/{id}": f"/admin/systems/{peer.id}",
    }


async def _halfway(scene: Scene) -> dict[str, Person]:
    """Two who pressed their link: one has a second factor, one sets it up."""
    people, house = scene.place.rooms.people, scene.place.first
    inside = scene.place.set_up_permit("administer", Target("organisation", house.id, house.id))
    new = await people.add_user(inside, house.id, "new-here@x.example", "N. Ew", "clinician")
    found = {}
    for who, user in (("halfway", new), ("returning", scene.people["admin"].user)):
        assert user is not None
        home = scene.place.set_up_permit("administer", Target("organisation", user.tenant, user.tenant))
        secret = (await people.issue_sign_in_link(home, user.id)).rpartition("/")[2]
        found[who] = scene.place.anybody()
        found[who].web.cookies.set("troth_session", (await people.sign_in(secret, "127.0.0.1")).token)
    return found


async def _advertised(place: Deployment, office: Person, house: Organisation) -> str:
    """A newsletter to somebody who asked for it, and where its link leads."""
    reader = await place.staff("referrer", house)
    assert reader.user is not None
    chosen = await reader.post("/choices", {"act": "yes", "about": "news"})
    assert chosen.status_code == 303, chosen.text
    told = {"person": reader.user.id, "purpose": "newsletter", "title": "News", "text": "Something new."}
    sent = await office.post("/office/messages", told)
    assert sent.status_code == 303, sent.text
    return re.findall(r"/stop/[A-Za-z0-9_-]+", place.mails()[-1])[0]


async def _merges(scene: Scene, house: Organisation) -> None:
    """Two numbers that are merged, two that may be one patient's, and a rule."""
    place = scene.place
    named = {"name": "Specimen^Carla", "birth_date": date(1961, 5, 4), "sex": "F"}
    first, second, third = [await place.study(house, patient_id=f"M-{number}", **named) for number in (1, 2, 3)]
    permit = place.set_up_permit("merge", Target("organisation", house.id, house.id))
    made = await place.rooms.archive.merging.merge(
        permit, first.subject_id, second.subject_id, "She showed both cards at the desk."
    )
    scene.places |= {
        "/office/patients/{id}/{other}": f"/office/patients/{second.subject_id}/{third.subject_id}",
        "/office/merges/{id}": f"/office/merges/{made.id}",
    }


async def _conflict(place: Deployment, scene: Scene, held: Held) -> str:
    """Images of a study that say that they are of another patient; and where whoever is on duty sees them."""
    doctor = scene.people["clinician"]
    assert doctor.user is not None
    duty = place.set_up_permit("assign", Target("organisation", held.house.id, held.house.id))
    until = clock.now() + timedelta(days=7)
    await place.rooms.assignments.assign(duty, doctor.user.id, until, "Part of the scene of this test")
    files = specimens.phantom_ct(replace(held.made, patient_id="P-99", study_uid=held.uid), slices=2, size=64)
    answer = await place.stow(files, held.house)
    assert (answer.status_code, "kept apart" in answer.headers["warning"]) == (409, True), answer.text
    return re.findall(r"/conflicts/[0-9a-f-]{36}", (await doctor.web.get("/conflicts")).text)[0]


async def _damaged(place: Deployment, held: Held) -> None:
    """Images of a study that were read back and found damaged."""
    archive = place.rooms.archive
    permit = place.set_up_permit("administer", held.target)
    [study] = [each for each in await archive.studies_of_subject(permit, held.subject_id) if each.id == held.id]
    for row in await archive.instance_rows(permit, held.id, None, None):
        await archive.record_broken(permit, study, row["id"], "seal-broken")


async def bare(place: Deployment, house: Organisation | None = None) -> Scene:
    """A deployment on its first day: everybody is there, and nothing happened."""
    own = house or place.first
    operator = next(each for each in place.organisations if each.operates)
    return Scene(
        place,
        {
            "anybody": place.anybody(),
            "office": await place.staff("office", own),
            "officer": await place.staff("office", operator),
            "admin": await place.staff("admin", own),
        },
        {"/office/notice/new": f"/office/notice/new?of={(await place.rooms.notices.current())[-1].name}"},
    )


async def lists(scene: Scene) -> None:
    """A list of people that somebody handed over."""
    made = await offer(scene.people["office"], "email,name\nreader@x.example,R. Eader\n")
    assert made.status_code == 303, made.text
    scene.places["/lists/{id}"] = made.headers["location"]


async def _registers(place: Deployment, house: Organisation, held: Held, port: int) -> None:
    """Rows in every register, in force and ended; one disclosure that arrived, one that was refused."""
    desk = await office_of(place, house)
    await place.peer("ELSEWHERE", house, port)
    await desk.contract("other_place", "controller", party="City Specimen Clinic")
    await desk.contract("mended", "subprocessor", party="Sample Data Centre")
    await desk.contract("lapsed", "processor", party="Former Supplier", valid_until="2026-03-31")
    shared = {"kind": "customer", "stands_under": "other_hospitals", "categories": "images", "purposes": "exchange"}
    shared |= {"contract_key": "other_place", "peer_ae": "ELSEWHERE"}
    await desk.filed(
        "recipients",
        key="city_clinic",
        name="City Specimen Clinic",
        address="1 Elsewhere Street",
        country="GB",
        **shared,
    )
    await desk.filed("recipients", key="boston", name="Boston Sample Institute", country="US", **shared)
    await desk.filed("recipients", key="gone", name="Former Partner", country="GB", **shared)
    await desk.end("recipients", (await desk.recipients())["gone"].id)
    await desk.instrument("clauses_us", "GB", "US")
    await desk.instrument("shield", "GB", "CA", kind="adequacy")
    await desk.end("instruments", (await desk.instruments())["shield"].id, "The decision was annulled on 1 March 2026.")
    await desk.filed(
        "orders", kind="legal_order", authority="Sample County Court", country="GB", valid_from=SINCE,
        scope="The scans of one patient.", studies=str(held.id), document="The order in full.",
    )  # fmt: skip
    await desk.filed(
        "instructions", key="standing_order_two", words="Keep our scans and show them to those who treat our patients.",
        actions="store query retrieve", purposes="diagnosis care", valid_from=SINCE,
    )  # fmt: skip
    sent = await desk.disclose(held, "city_clinic", "exchange", "contract")
    assert sent.status_code == 200, sent.text
    assert (await desk.disclose(held, "nobody", "exchange", "contract")).status_code == 409
    instruments = place.set_up_permit("keep_register", Target("platform"))
    await place.rooms.exchange.add_instrument(
        instruments, "platform_clauses", "scc", "EEA", "US", clock.today(), document=b"Standard contractual clauses."
    )


async def _versions(scene: Scene) -> None:
    """One version that follows, and one that waits for a second person."""
    place = scene.place
    before = (await place.rooms.notices.versions())[0].notice
    first, second = await permits(place)
    section = int(before.all("recipient")[0].id.split(".")[0])
    clause = with_clause(before, section, RECIPIENT.format(section=section, country=before.regions[0]))
    after = next_version(before, clause)
    proposal = await place.rooms.proposals.propose(first, after)
    await place.rooms.proposals.agree(second, proposal.id, proposal.sha256)
    says = next(each.says for each in before.clauses if each.says and "\n" not in each.says)
    later = next_version(after, (says[:20], says[:20].replace(" ", "  ", 1) + " "), after=timedelta(days=90))
    await place.rooms.proposals.propose(first, later)
    scene.places |= {
        "/notice/versions/{number:version}": f"/notice/versions/{before.version}?of={before.name}",
        "/notice/versions/{number:version}/changes": f"/notice/versions/{after.version}/changes?of={before.name}",
    }
