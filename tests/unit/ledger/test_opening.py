"""Openings: each value of a payload can be shown by itself, and found in the commitment."""

from __future__ import annotations

from typing import Any

from tests.unit.ledger.conftest import Deployment
from troth.ledger import opening

SALT = bytes(range(16))
PAYLOAD: dict[str, Any] = {"what": "CT thorax", "actor": "Dr \u00c4. M\u00fcller", "modalities": ["CT", "SR"], "n": 3}


def test_the_commitment_is_over_the_openings() -> None:
    sealed, committed = opening.packed(PAYLOAD, SALT)
    opened = opening.openings(PAYLOAD, SALT)
    assert [one.name for one in opened] == sorted(PAYLOAD)
    assert committed == opening.commitment(one.hash for one in reversed(opened))
    assert opening.unpacked(sealed) == (PAYLOAD, SALT)
    assert len({one.salt for one in opened}) == len(opened)


def test_another_value_or_salt_gives_another_commitment() -> None:
    _, committed = opening.packed(PAYLOAD, SALT)
    assert opening.packed({**PAYLOAD, "n": 4}, SALT)[1] != committed
    assert opening.packed(PAYLOAD, SALT[::-1])[1] != committed
    assert opening.packed({name: value for name, value in PAYLOAD.items() if name != "n"}, SALT)[1] != committed


def test_a_value_may_be_withheld_and_the_rest_still_counts() -> None:
    _, committed = opening.packed(PAYLOAD, SALT)
    shown = [one for one in opening.openings(PAYLOAD, SALT) if one.name != "actor"]
    withheld = [one.hash for one in opening.openings(PAYLOAD, SALT) if one.name == "actor"]
    assert opening.commitment([*withheld, *(one.hash for one in shown)]) == committed


async def test_an_event_gives_what_it_was_committed_to(deployment: Deployment) -> None:
    event_id = await deployment.append_one(key=deployment.key, payload=PAYLOAD)
    async with deployment.database.transaction(deployment.entry()) as connection:
        event = await deployment.ledger.event(connection, event_id)
    assert event.payload == PAYLOAD
    assert event.salt is not None
    [row] = deployment.tamper("select payload_commit from ledger_entry where id = %s", [event_id])
    assert opening.commitment(one.hash for one in opening.openings(event.payload, event.salt)) == row["payload_commit"]
