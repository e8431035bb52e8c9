"""What advertises can be stopped by whoever was written to, from the message itself, without signing in."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.promises.test_changes import Mailbox, mailbox
from tests.promises.test_choices import CONSENT, choose, write_to

__all__ = ["mailbox"]


@pytest.fixture(scope="module")
async def vendor(open_deployment: OpenDeployment, mailbox: Mailbox) -> Deployment:
    return await open_deployment("terminology-vendor", smtp=f"127.0.0.1:{mailbox.port}")


async def advertised(vendor: Deployment, mailbox: Mailbox) -> tuple[Person, Person, EmailMessage]:
    """Somebody who said yes to promotions, who writes to them, and the message as the mail server has it."""
    office, person = await vendor.staff("office"), await vendor.staff("clinician")
    await choose(person, "yes", CONSENT)
    assert await write_to(office, person, "promotion") == 303
    message = mailbox.messages[-1]
    assert message["To"] == person.email
    return office, person, message


def link_of(message: EmailMessage) -> str:
    """The path of the link in the header, which is the one at the foot of the text."""
    address = str(message["List-Unsubscribe"]).strip("<>")
    assert address in message.get_content()
    return urlsplit(address).path


def other_code(path: str) -> str:
    """The same link with another code."""
    text = path.rpartition("/")[2]
    plain = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    plain[40] ^= 1
    return f"/stop/{urlsafe_b64encode(plain).decode().rstrip('=')}"


@pytest.mark.promise("TV-17", shows="headers post stopped")
async def test_one_press_of_a_mail_program_ends_such_messages(vendor: Deployment, mailbox: Mailbox) -> None:
    """RFC 8058: a POST with nothing but the link, no cookie, no page before it."""
    office, person, message = await advertised(vendor, mailbox)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path, anybody = link_of(message), vendor.anybody().web
    before = len(mailbox.messages)

    for _ in range(2):  # a scanner of mail that opens the link ends nothing
        assert (await anybody.get(path)).status_code == 200
        assert (await anybody.head(path)).status_code == 200
    assert await write_to(office, person, "promotion") == 303
    for forged in (other_code(path), path[:-1], f"{path}A", f"/stop/{'A' * 80}", f"/stop/{'A' * 4000}", "/stop/ü"):
        assert (await anybody.post(forged, data={"List-Unsubscribe": "One-Click"})).status_code == 404
    assert await write_to(office, person, "promotion") == 303

    answer = await anybody.post(path, data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)
    assert await write_to(office, person, "promotion") == 403
    assert len(mailbox.messages) == before + 2
    assert (await anybody.post(path, data={"List-Unsubscribe": "One-Click"})).status_code == 200, "twice is once"

    assert person.user is not None
    decided = await vendor.ledgered(kind="people:objection:decided", subject=person.user.id)
    assert decided
    assert {(event.outcome, event.actor_id) for event in decided} == {("done", person.user.id)}
    assert "Stopped for you" in (await person.web.get("/choices")).text


@pytest.mark.promise("TV-17", shows="post stopped")
async def test_a_person_reads_what_it_is_about_and_can_turn_it_back_on(vendor: Deployment, mailbox: Mailbox) -> None:
    office, person, message = await advertised(vendor, mailbox)
    path, anybody = link_of(message), vendor.anybody().web
    page = (await anybody.get(path)).text
    assert "Stop these messages?" in page
    assert person.email not in page
    assert person.user is not None
    assert person.user.name not in page
    form = re.search(r'<form[^>]+action="(/stop/[^"]+)"', page)
    assert form is not None
    assert (await anybody.post(form[1], data={"act": "stop"})).headers["location"] == path
    assert "These messages are stopped" in (await anybody.get(path)).text
    assert await write_to(office, person, "promotion") == 403
    await anybody.post(form[1], data={"act": "again"})
    assert "Stop these messages?" in (await anybody.get(path)).text
    assert await write_to(office, person, "promotion") == 303


async def test_the_link_of_one_person_stops_nobody_else(vendor: Deployment, mailbox: Mailbox) -> None:
    office, _, message = await advertised(vendor, mailbox)
    other = await vendor.staff("clinician")
    await choose(other, "yes", CONSENT)
    await vendor.anybody().web.post(link_of(message), data={"List-Unsubscribe": "One-Click"})
    assert await write_to(office, other, "promotion") == 303
