"""What the database itself keeps apart and bound, under everything that a door checks.

Two organisations do the same things at the doors. Then each finds its own at every page, the doors' own role finds
nothing of the other, and cannot take back what was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.common.deployment import ADDRESS, Deployment, Held, OpenDeployment, Person
from tests.common.outside import SINCE, office_of
from tests.promises.test_choices import choose
from tests.promises.test_emergency import claim
from tests.promises.test_holds import form, in_conflict
from troth.people import Organisation
from troth.proofs import apart, catalogue_store

#: Tables in which both have rows, on the imaging cloud.
HELD = (
    "acceptance", "admission", "assignment", "choice", "instance", "invitation", "ledger_entry", "ledger_leaf",
    "ledger_subject", "legal_hold", "membership", "quarantined", "restriction", "rights_item", "rights_request",
    "rights_step", "series", "session", "study", "study_token", "subject", "subject_account", "way_in",
)  # fmt: skip
REGISTERS = (
    "exchange_contract", "exchange_document", "exchange_instruction", "exchange_instrument", "exchange_order",
    "exchange_recipient",
)  # fmt: skip
FORBIDDEN = {
    "ledger_entry": ("update ledger_entry set purpose = 'x'", "delete from ledger_entry"),
    "ledger_leaf": ("update ledger_leaf set leaf = '\\x00'", "delete from ledger_leaf"),
    "notice_version": ("update notice_version set number = 9", "delete from notice_version"),
    "acceptance": ("update acceptance set edition = 'x'",),
    "legal_hold": ("delete from legal_hold",),
    "restriction": ("delete from restriction",),
    "membership": ("delete from membership",),
    "exchange_contract": ("delete from exchange_contract",),
    "exchange_instruction": ("delete from exchange_instruction",),
}
UNBOUND = {
    "membership": "update membership set role = 'admin'",
    "legal_hold": "update legal_hold set released_at = now()",
    "restriction": "update restriction set lifted_at = now()",
    "assignment": "update assignment set until = until + interval '1 year'",
    "choice": "update choice set state = 'given'",
    "subject_account": "delete from subject_account",
}


@dataclass
class House:
    """An organisation, those in it, and what is theirs.

    Attributes:
        own: Words that stand on its pages and on no other's.
    """

    place: Organisation
    held: Held
    people: dict[str, Person]
    own: str


async def lived_in(cloud: Deployment, place: Organisation, own: str) -> House:
    """Everything that an organisation can do here, done once, by its pages."""
    held = await cloud.study(place, patient_id=f"{own}-1", name=f"{own}^Patient", description=f"{own} scan")
    people = {role: await cloud.staff(role, place, f"{own} {role}") for role in ("clinician", "office", "admin")}
    doctor, office, admin = people.values()
    patient = people["patient"] = await cloud.patient(held)
    answers = [
        await doctor.post(f"/studies/{held.id}/invite", {"email": f"{own}@x.example"}),
        await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access"),
        await office.post("/office/holds", form(held, reason=f"A claim of {own}")),
        await admin.post("/admin", {"name": f"{own} Newcomer", "email": f"n.{own}@x.example", "role": "clinician"}),
        await admin.post("/admin/systems", {"ae": f"{own}_CT", "host": ADDRESS, "port": "11113", "purpose": "care"}),
    ]
    assert [each.status_code for each in answers] == [303] * 5
    issued = await admin.post("/admin/tokens", {"role": "peer", "purpose": "care", "days": "1"}, page="/admin/systems")
    assert "once" in issued.text
    assert await claim(doctor, held, f"Found by the road, says {own}") == 303
    assert (await cloud.stow(in_conflict(held), place)).status_code == 409
    await choose(patient, "object", "diagnosis")
    other = await cloud.study(place, patient_id=f"{own}-1", name=f"{own}^Patient", accession=f"{own}-2")
    await choose(patient, "stop", str(other.id))
    return House(place, held, people, own)


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def houses(cloud: Deployment) -> tuple[House, House]:
    made = await lived_in(cloud, cloud.first, "Alder"), await lived_in(cloud, cloud.second, "Birch")
    await cloud.sequencer.drain()
    return made


PAGES = {
    "clinician": ("/studies", "/conflicts", "/account", "/choices"),
    "office": ("/office", "/office/requests", "/office/decisions", "/office/holds", "/office/emergencies",
               "/office/patients", "/account"),
    "admin": ("/admin", "/admin/systems", "/admin/factors"),
    "patient": ("/scans", "/looked", "/requests", "/choices", "/account"),
}  # fmt: skip


@pytest.mark.promise("IC-03", shows="matrix")
@pytest.mark.parametrize("role", PAGES)
async def test_each_organisation_finds_its_own_on_every_page(houses: tuple[House, House], role: str) -> None:
    for house, other in (houses, houses[::-1]):
        seen = ""
        for path in PAGES[role]:
            answer = await house.people[role].web.get(path)
            assert answer.status_code == 200, path
            assert other.own.lower() not in answer.text.lower(), path
            seen += answer.text
        assert house.own in seen
        assert len(set(re.findall(r'action="(/office/holds/[^"]+/release)"', seen))) == (1 if role == "office" else 0)


async def fields_found(place: Deployment, house: Organisation, table: str) -> list[str]:
    async with place.rooms.database.transaction(house) as connection:
        return await catalogue_store.places(connection, table, house.id)


async def looked_for(place: Deployment, tables: tuple[str, ...]) -> apart.Probe:
    """As `troth verify` does: rows of each organisation, from the other one and from none; there are some in each."""
    two = sorted(await place.rooms.people.organisations(), key=lambda each: each.id)[:2]
    assert {each.id for each in two} == {place.first.id, place.second.id}
    for table in tables:
        for house in two:
            assert await fields_found(place, house, table), f"nothing to look for in {table}"
    return await apart.probe(place.rooms.database)


@pytest.mark.promise("IC-10", shows="apart")
@pytest.mark.usefixtures("houses")
async def test_the_doors_role_finds_no_row_of_another_organisation(cloud: Deployment) -> None:
    found = await looked_for(cloud, HELD)
    assert (found.foreign, found.unowned) == ((), ())


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    """Two organisations with the same rows in their registers."""
    host = await open_deployment("imaging-host")
    for house in (host.first, host.second):
        office = await office_of(host, house)
        await office.contract("works", "controller")
        await office.instrument("standard_contract", "GB", "US")
        await office.filed("instructions", key="keep", words="Keep them.", actions="store", purposes="care",
                           valid_from=SINCE)  # fmt: skip
        await office.filed("recipients", key="clinic", name="A clinic", kind="customer", country="GB",
                           stands_under="other_hospitals", categories="images", purposes="exchange",
                           contract_key="works")  # fmt: skip
        await office.filed("orders", kind="legal_order", authority="A court", country="GB", valid_from=SINCE,
                           scope="One scan.", studies="")  # fmt: skip
    return host


@pytest.mark.promise("IH-11", shows="apart")
async def test_the_doors_role_finds_no_row_of_anothers_registers(host: Deployment) -> None:
    found = await looked_for(host, REGISTERS)
    assert (found.foreign, found.unowned) == ((), ())


async def attempted(place: Deployment, house: Organisation, statement: str) -> str | None:
    """The SQLSTATE with which the database refuses the doors' own role, in the space of an organisation."""
    try:
        async with place.rooms.database.transaction(house) as connection:
            done: Any = await connection.execute(statement.encode())
            assert done.rowcount, statement
            await connection.execute(b"set constraints all immediate")
            raise _Done
    except _Done:
        return None
    except psycopg.Error as fault:
        return fault.sqlstate


class _Done(Exception):
    """It was done, and is taken back."""


@pytest.mark.promise("IC-10", shows="apart")
@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize("table", FORBIDDEN)
async def test_the_doors_role_takes_nothing_back(cloud: Deployment, table: str) -> None:
    for statement in FORBIDDEN[table]:
        assert await attempted(cloud, cloud.first, statement) == "42501", f"insufficient privilege: {statement}"


@pytest.mark.promise("IC-10", shows="apart")
@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize("table", UNBOUND)
async def test_no_row_that_gives_or_bars_changes_without_an_entry(cloud: Deployment, table: str) -> None:
    assert await attempted(cloud, cloud.first, UNBOUND[table]) == "TR002"


@pytest.mark.promise("IC-10", shows="checks")
@pytest.mark.usefixtures("houses")
async def test_verify_finds_the_database_as_the_program_made_it(cloud: Deployment) -> None:
    looked = await apart.look(cloud.rooms.database)
    assert [check.holds for check in looked] == [True, True], [check.found for check in looked]
