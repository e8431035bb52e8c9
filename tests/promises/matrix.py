"""Two houses with everybody in them, and every act of the notice imaging-cloud: who may do it, about which house."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import pydicom

from tests.common.deployment import Deployment, Held, Person
from troth.dicom import specimens
from troth.kit import clock
from troth.people import Organisation
from troth.policy import Permit, Target

JSON: Final = "application/dicom+json"
_NUMBERS: Final = itertools.count(1)


@dataclass
class House:
    """One organisation with everybody in it, and one of each thing that an act can be about.

    Attributes:
        proposer: A second administrator, who asks that somebody be let in.
        places: Addresses of what is in the house, by what it is.
        thing: What was made for the one try that follows.
    """

    house: Organisation
    held: Held
    twin: Held
    more: Held
    people: dict[str, Person]
    proposer: Person
    machine_id: str
    ae: str
    places: dict[str, str] = field(default_factory=dict)
    thing: str = ""


@dataclass
class Scene:
    """Two houses under one notice, and the listener for machines."""

    place: Deployment
    port: int
    here: House
    there: House
    officer: Person
    anybody: Person
    entered_at: datetime

    def everybody(self) -> dict[str, Person]:
        """Who tries: one of each role of this house, the office of who runs the service, and nobody."""
        return {**self.here.people, "officer": self.officer, "nobody": self.anybody}

    async def freshen(self) -> None:
        """Let everybody sign in again where some acts would soon ask for it."""
        if clock.now() - self.entered_at > timedelta(minutes=3):
            self.entered_at = clock.now()
            for role, person in self.everybody().items():
                if role not in ("peer", "nobody"):
                    await self.place.sign_in_again(person)


def inside(place: Deployment, house: Organisation, action: str = "administer") -> Permit:
    """A permit of the set-up."""
    return place.set_up_permit(action, Target("organisation", house.id, house.id))


async def furnished(place: Deployment, house: Organisation, ae: str) -> House:
    """A house with a member of each role, a patient, a machine, two patients and one of what waits or was done."""
    held, twin = await place.study(house), await place.study(house)
    more = await place.study(house, **{name: getattr(held.made, name) for name in ("patient_id", "name", "birth_date")})
    people = {role: await place.staff(role, house) for role in ("clinician", "referrer", "office", "admin")}
    people |= {"patient": await place.patient(held), "peer": await place.bearer("peer", "care", house)}
    asked = await people["patient"].post("/requests", {"right": "access"}, page="/requests/new?right=access")
    assert asked.status_code == 303, asked.text
    machine = await place.peer(ae, house)
    made = House(house, held, twin, more, people, await place.staff("admin", house), str(machine.id), ae)
    made.places["request"] = asked.headers["location"]
    await happened(place, made)
    return made


async def happened(place: Deployment, house: House) -> None:
    """An objection that waits, an emergency that nobody checked, an image in conflict."""
    patient, office, doctor = (house.people[role] for role in ("patient", "office", "clinician"))
    objected = await patient.post("/choices", {"act": "object", "about": "research"})
    assert objected.status_code == 303, objected.text
    colleague = await place.staff("clinician", house.house)
    assert (await colleague.post("/emergency", claim(house))).status_code == 303
    files = specimens.phantom_ct(
        replace(house.twin.made, patient_id="P-99", study_uid=house.twin.uid), slices=1, size=64
    )
    assert (await place.stow(files, house.house)).status_code == 409
    for what, person, path, found in (
        ("receipt", patient, "/choices", r"/choices/[0-9a-f-]{36}"),
        ("objection", office, "/office/decisions", r"/office/decisions/objections/[0-9a-f-]{36}"),
        ("emergency", office, "/office/emergencies", r"/office/emergencies/[0-9a-f-]{36}"),
        ("conflict", doctor, "/conflicts", r"/conflicts/[0-9a-f-]{36}"),
    ):
        [house.places[what], *_] = re.findall(found, (await person.web.get(path)).text)


async def state(scene: Scene, house: House) -> tuple[Any, ...]:
    """What a house holds: members, machines, tokens, what waits and what was decided, and its images."""
    rooms, permit = scene.place.rooms, inside(scene.place, house.house)
    deciding = inside(scene.place, house.house, "decide_request")
    return (
        await rooms.people.users(permit), await rooms.people.invitations(permit), await rooms.people.peers(permit),
        await rooms.people.admissions(permit), {each.id for each in await rooms.people.tokens(permit)},
        await rooms.choices.waiting_objections(deciding), await counted(house),
        await rooms.lifecycle.holds(inside(scene.place, house.house, "hold")),
        await rooms.assignments.emergencies(inside(scene.place, house.house, "review")),
    )  # fmt: skip


async def counted(house: House) -> int:
    """How many instances a house holds, as its own machine counts them."""
    answer = await house.people["peer"].web.get("/dicomweb/instances", headers={"Accept": JSON})
    return len(answer.json()) if answer.status_code == 200 else 0


Attempt = Callable[[Person, House], Awaitable[bool]]
Where = Callable[[House], str]


def page(path: Where, *, says: Where | None = None) -> Attempt:
    """Whether a page opens, and says what it is about."""

    async def tried(person: Person, house: House) -> bool:
        answer = await person.web.get(path(house))
        return answer.status_code == 200 and (says is None or says(house) in answer.text)

    return tried


def leads(path: Where) -> Attempt:
    """Whether a page leads on to the viewer."""

    async def tried(person: Person, house: House) -> bool:
        answer = await person.web.get(path(house))
        return answer.status_code == 303 and "/viewer" in answer.headers["location"]

    return tried


def sent(path: Where, form: str, fields: Callable[[House], dict[str, str]], *, done: int = 303) -> Attempt:
    """Whether a form is done. Who is not shown it sends it with the proof of a page of their own."""

    async def tried(person: Person, house: House) -> bool:
        token = ""
        for shown in (form, "/account"):
            found = re.search(r'name="token" value="([0-9a-f]+)"', (await person.web.get(shown)).text)
            token = token or (found[1] if found is not None else "")
        answer = await person.web.post(path(house), data={"token": token, **fields(house)})
        onward = answer.headers.get("location", "")
        return answer.status_code == done and not onward.startswith(("/sign-in", "/second-step"))

    return tried


def images(path: Where, accept: str = JSON, *, at_viewer: bool = False) -> Attempt:
    """Whether the image door gives anything, on the origin of the pages (and of tokens) or of the viewer."""

    async def tried(person: Person, house: House) -> bool:
        client = person.viewer if at_viewer else person.web
        answer = await client.get(path(house), headers={"Accept": accept})
        return answer.status_code == 200 and answer.content not in (b"", b"[]")

    return tried


def of_study(tail: str = "") -> Where:
    return lambda house: f"/dicomweb/studies/{house.held.uid}{tail}"


def instance(house: House) -> str:
    one = pydicom.dcmread(io.BytesIO(specimens.phantom_ct(house.held.made, slices=1, size=16)[0]))
    return f"/dicomweb/studies/{house.held.uid}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"


async def stowed(person: Person, house: House) -> bool:
    """Whether an image of a patient of that house is taken in: what it is taken into is looked at afterwards."""
    [file] = specimens.phantom_ct(replace(house.held.made, accession="A-NEW"), slices=1, size=16)
    kind = 'multipart/related; type="application/dicom"; boundary=part'
    body = b"--part\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--part--\r\n" % file
    answer = await person.web.post("/dicomweb/studies", content=body, headers={"Content-Type": kind})
    return answer.status_code in (200, 202)


Making = Callable[[Scene, House], Awaitable[str]]


async def admission(scene: Scene, house: House) -> str:
    """Somebody whom another administrator asked to let in."""
    permit = replace(inside(scene.place, house.house, "invite"), actor=house.proposer.actor)
    email = f"asked-{next(_NUMBERS)}@x.example"
    return str((await scene.place.rooms.people.propose_invitation(permit, email, "A. Sked", "clinician")).id)


async def colleague(scene: Scene, house: House) -> str:
    """One more member."""
    permit, email = inside(scene.place, house.house), f"more-{next(_NUMBERS)}@x.example"
    made = await scene.place.rooms.people.add_user(permit, house.house.id, email, "M. Ore", "referrer")
    return f"/admin/people/{made.id}"


async def machine(scene: Scene, house: House) -> str:
    """One more machine."""
    return f"/admin/systems/{(await scene.place.peer(f'MORE_{next(_NUMBERS)}', house.house)).id}"


async def token(scene: Scene, house: House) -> str:
    """One more token."""
    await scene.place.bearer("peer", "care", house.house)
    return f"/admin/tokens/{(await scene.place.rooms.people.tokens(inside(scene.place, house.house)))[0].id}"


@dataclass(frozen=True)
class Act:
    """One act at one door.

    Attributes:
        tried: Whether somebody does it about a house.
        roles: Who may, in their own house.
        is_own: Its address names no house: it falls to one's own, and nothing of it to another.
        thing: What is made anew for each try, where a try that succeeds uses it up.
    """

    tried: Attempt
    roles: frozenset[str]
    is_own: bool = False
    thing: Making | None = None


def claim(house: House) -> dict[str, str]:
    return {"patient": house.held.made.patient_id, "issuer": "", "reason": "Unconscious after a fall, no team on call"}


def hold(house: House) -> dict[str, str]:
    return {
        "about": "study", "patient": "", "issuer": "", "study": house.held.uid, "ends_on": "",
        "reason": "A claim for damages is before the court", "document": "Court of Samples, case 7 of 2026",
        "review_on": (clock.today() + timedelta(days=30)).isoformat(),
    }  # fmt: skip


def merging(house: House) -> str:
    return f"/office/patients/{house.held.subject_id}/{house.twin.subject_id}"


def named(house: House) -> str:
    """The name of a member, as it stands on a list of them."""
    user = house.people["clinician"].user
    assert user is not None
    return user.name


def member(house: House) -> str:
    user = house.people["clinician"].user
    assert user is not None
    return f"/admin/people/{user.id}"


JPEG, BYTES = "image/jpeg", 'multipart/related; type="application/octet-stream"'
ADDRESS: Final = {"host": "127.0.0.1", "port": "11113"}
CARE: Final = frozenset({"clinician", "referrer"})
CLINICIAN, PATIENT, PEER = frozenset({"clinician"}), frozenset({"patient"}), frozenset({"peer"})
OFFICE, ADMIN, OFFICER = frozenset({"office"}), frozenset({"admin"}), frozenset({"officer"})
STAFF: Final = CARE | OFFICE | ADMIN
READERS: Final = CARE | PATIENT | PEER
NOT_IN: Final = PEER | {"nobody"}
"""Who has no session; a page leads everybody else on who asks for the door."""
EVERYBODY: Final = STAFF | PATIENT | OFFICER | NOT_IN


def _new(**role: str) -> Callable[[House], dict[str, str]]:
    return lambda _: {"name": "N. Ew", "email": f"new-{next(_NUMBERS)}@x.example", **role}


def _always(**fields: str) -> Callable[[House], dict[str, str]]:
    return lambda _: fields


SCANS: Final = {
    # 4.1, 4.2, 5.1, 5.2: who treats, and the referrer, search and open. 5.7: the office and administration do not.
    "query, page": Act(page(lambda h: f"/studies?study={h.held.id}", says=lambda h: h.held.made.patient_id), CARE),
    "query, a number": Act(page(lambda h: f"/studies?q={h.held.made.patient_id}", says=lambda h: str(h.held.id)), CARE),
    "retrieve, page": Act(leads(lambda h: f"/studies/{h.held.id}/open"), CARE),
    "query, DICOMweb": Act(images(lambda h: f"/dicomweb/studies?StudyInstanceUID={h.held.uid}"), READERS),
    "retrieve, DICOMweb": Act(images(of_study("/metadata")), READERS),
    "retrieve, a frame": Act(images(lambda h: f"{instance(h)}/frames/1", BYTES), READERS),
    "retrieve, drawn": Act(images(lambda h: f"{instance(h)}/rendered", JPEG), READERS),
    "query, viewer": Act(
        images(lambda h: f"/dicomweb/studies?StudyInstanceUID={h.held.uid}", at_viewer=True), READERS,
    ),
    "retrieve, viewer": Act(images(of_study("/metadata"), at_viewer=True), READERS),
    # 4.3: one's own.
    "query, own": Act(page(lambda h: f"/scans/{h.held.id}"), PATIENT),
    "retrieve, own": Act(page(lambda h: f"/scans/{h.held.id}/images"), PATIENT),
    "retrieve, own in the viewer": Act(leads(lambda h: f"/scans/{h.held.id}/open"), PATIENT),
    # 4.2, 4.4: what is wrong is put right by who treats, and by the office; 4.2: what contradicts, by who treats.
    "rectify": Act(page(lambda h: f"/studies/{h.held.id}/correct"), CLINICIAN | OFFICE),
    "resolve": Act(page(lambda h: h.places["conflict"]), CLINICIAN),
    "resolve, form": Act(
        sent(lambda h: h.places["conflict"], "/studies", _always(act="discard", sure="yes")), CLINICIAN,
    ),
    # 4.6: in an emergency, with the reason.
    "override": Act(sent(lambda _: "/emergency", "/emergency", claim), CLINICIAN),
    # 3.5, 3.7, 4.2: machines bring, and follow.
    "store, DICOMweb": Act(stowed, PEER, is_own=True),
    "follow, REST": Act(page(lambda h: "/api/changes", says=lambda h: str(h.held.id)), PEER),
}  # fmt: skip

RIGHTS: Final = {
    # 4.3, 4.4, 5.4: one's own requests, copies, choices and the list of who looked.
    "see_request": Act(page(lambda h: h.places["request"]), PATIENT),
    "see_request, own record": Act(page(lambda _: "/account/copy.json"), STAFF | OFFICER, is_own=True),
    "copy": Act(page(lambda h: f"{h.places['request']}/copy"), PATIENT),
    "open_request": Act(
        sent(lambda _: "/requests", "/requests/new?right=access", _always(right="access")), PATIENT, is_own=True,
    ),
    "see_log": Act(page(lambda _: "/looked"), PATIENT, is_own=True),
    "see_log, file": Act(page(lambda _: "/looked/list.json"), PATIENT, is_own=True),
    "choose": Act(page(lambda _: "/choices"), STAFF | PATIENT | OFFICER, is_own=True),
    "choose, receipt": Act(page(lambda h: h.places["receipt"]), PATIENT),
    "restrict": Act(page(lambda h: f"/choices/stop?about={h.held.id}"), PATIENT),
    "restrict, form": Act(
        sent(lambda _: "/choices", "/choices", lambda h: {"act": "stop", "about": str(h.more.id)}), PATIENT,
    ),
    # 4.4, 5.5: the office answers, decides, checks, keeps what a court wants, and puts one patient's numbers together.
    "see_request, office": Act(page(lambda h: f"/office{h.places['request']}"), OFFICE),
    "decide_request": Act(page(lambda _: "/office/decisions", says=lambda h: h.places["objection"]), OFFICE),
    "decide_request, form": Act(
        sent(lambda h: h.places["objection"], "/office/decisions", _always(outcome="yes", reason="It stays stopped")),
        OFFICE,
    ),
    "review": Act(page(lambda _: "/office/emergencies", says=lambda h: h.places["emergency"]), OFFICE),
    "review, form": Act(
        sent(lambda h: h.places["emergency"], "/office/emergencies", _always(outcome="yes", finding="It was one")),
        OFFICE,
    ),
    "merge": Act(page(merging), OFFICE),
    "hold": Act(sent(lambda _: "/office/holds", "/office/holds", hold), OFFICE),
    "see_proofs, office": Act(page(lambda _: "/office/promises"), OFFICE | OFFICER, is_own=True),
}  # fmt: skip

ACCESS: Final = {
    # 4.5, 5.6: administrators manage the accounts and machines of their house.
    "administer": Act(page(lambda _: "/admin", says=named), ADMIN),
    "administer, a member": Act(page(member), ADMIN),
    "administer, a machine": Act(page(lambda h: f"/admin/systems/{h.machine_id}"), ADMIN),
    "add_peer": Act(
        sent(lambda h: f"/admin/systems/{h.machine_id}", "/admin", _always(act="change", **ADDRESS)), ADMIN,
    ),
    "issue_token": Act(
        sent(lambda _: "/admin/tokens", "/admin", _always(role="peer", purpose="care", days="1"), done=200),
        ADMIN, is_own=True,
    ),
    "state_issuer": Act(page(lambda _: "/admin/numbers", says=lambda h: h.house.name), ADMIN),
    "change_role": Act(
        sent(lambda h: h.thing, "/admin", _always(act="change", role="clinician")), ADMIN, False, colleague,
    ),
    "end_access, a member": Act(sent(lambda h: h.thing, "/admin", _always(act="end")), ADMIN, False, colleague),
    "end_access, a machine": Act(sent(lambda h: h.thing, "/admin", _always(act="end")), ADMIN, False, machine),
    "end_access, a token": Act(sent(lambda h: h.thing, "/admin", _always()), ADMIN, False, token),
    # 3.2, 4.2, 4.5: who treats invites patients; administration and the office ask that colleagues be let in,
    # an administrator alone lets in administrators, an officer officers, and any other role takes two of them.
    "invite": Act(page(lambda h: f"/studies/{h.held.id}/invite"), CLINICIAN),
    "invite, a colleague": Act(sent(lambda _: "/admin", "/admin", _new(role="clinician")), ADMIN, is_own=True),
    "invite, officers": Act(page(lambda _: "/office/people"), OFFICE | OFFICER, is_own=True),
    "let_in, an administrator": Act(sent(lambda _: "/admin", "/admin", _new(role="admin")), ADMIN, is_own=True),
    "let_in, an officer": Act(
        sent(lambda _: "/office/people", "/office/people", _new()), OFFICE | OFFICER, is_own=True,
    ),
    "let_in, as the second": Act(
        sent(lambda h: f"/admissions/{h.thing}", "/account", _always(act="approve")), ADMIN | OFFICE, False, admission,
    ),
    # 4.5, 12.1: a version is proposed by the office of who runs the service, for all houses.
    "publish_notice": Act(page(lambda _: "/office/notice/new?of=imaging-cloud"), OFFICER, is_own=True),
    # 4.12, 11.4: anybody reads these pages and finds the door. What an invitation lets in is tried beside this table.
    "open_notice": Act(page(lambda _: "/notice"), EVERYBODY, is_own=True),
    "see_proofs": Act(page(lambda _: "/promises"), EVERYBODY, is_own=True),
    "sign_in": Act(page(lambda _: "/sign-in"), NOT_IN, is_own=True),
    "register": Act(page(lambda _: "/invitation"), EVERYBODY, is_own=True),
}  # fmt: skip

ACTS: Final[dict[str, Act]] = {**SCANS, **RIGHTS, **ACCESS}
"""What is tried at the doors that people and programs reach by HTTP, and the roles that may, in their own house."""

BY_DIMSE: Final = {"echo", "query", "retrieve", "store"}
"""What is tried of machines at the DIMSE door, which no person reaches."""

NO_DOOR: Final = {
    "operator": "whoever runs the platform acts by command, and no door signs them in: tests/unit/main/test_admin.py",
    "worker": "our own programs carry out a request, and nobody signs in as one: test_stays_erased.py, test_acts.py",
    "support": "nobody is given this role: the clause says not_yet",
}
"""Roles that come to none of these doors."""

NOT_THERE: Final = {
    ("admin", "echo"): "the line is tested by the machine at its end; no page does it",
    ("clinician", "see_log"): "the list of who looked is shown to the person it is about alone",
    ("referrer", "see_log"): "likewise",
    ("office", "see_log"): "likewise",
    ("office", "restrict"): "the person presses it themselves; no page does it for them",
}
"""What the notice would let a role do and no door offers."""
