"""The navigation: every entry of every role, under each notice, leads to a page that is there and has a matter."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from troth.doors.web.frame import BY_ROLE
from troth.kit import clock
from troth.policy import Target

STAFF = tuple(role for role in BY_ROLE if role != "patient")


@pytest.fixture(params=["imaging-cloud", "imaging-host", "equipment-maker", "terminology-vendor"], scope="module")
async def place(request: pytest.FixtureRequest, open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment(request.param)


async def menu(person: Person) -> list[str]:
    answer = await person.web.get("/notice")
    assert answer.status_code == 200
    (nav,) = re.findall(r'<nav[^>]*aria-label="Main"[^>]*>(.*?)</nav>', answer.text, re.DOTALL)
    return re.findall(r'href="([^"]+)"', nav)


@pytest.mark.parametrize("role", STAFF)
async def test_every_entry_leads_to_a_page(place: Deployment, role: str) -> None:
    await leads(await place.staff(role))


async def test_every_entry_of_a_patient_leads_to_a_page(place: Deployment) -> None:
    if place.rooms.policy.is_granted("store"):
        await leads(await place.patient(await place.study()))


async def leads(person: Person) -> None:
    found = await menu(person)
    assert "/notice" in found
    assert {href: (await person.web.get(href)).status_code for href in found} == dict.fromkeys(found, 200)
    start = await person.web.get("/")
    assert start.headers["location"] in found


async def test_an_entry_is_there_with_what_it_is_about(open_deployment: OpenDeployment) -> None:
    host, vendor = await open_deployment("imaging-host"), await open_deployment("terminology-vendor")
    doctor = await host.staff("clinician")
    assert "/conflicts" not in await menu(doctor), "only who is on duty decides them"
    assert doctor.user is not None
    duty = host.set_up_permit("assign", Target("organisation", host.first.id, host.first.id))
    await host.rooms.assignments.assign(duty, doctor.user.id, clock.now() + timedelta(days=7), "On duty this week.")
    assert "/conflicts" in await menu(doctor)
    admin = await host.staff("admin")
    assert "/admin/damaged" in await menu(admin)
    assert "/lists" not in await menu(admin), "its notice names no source of lists"
    assert "/admin/damaged" not in await menu(await vendor.staff("admin")), "no image can exist there"
    assert "/lists" in await menu(await vendor.staff("office"))
