from __future__ import annotations

import pytest

from tests.unit.archive.rooms import instance
from tests.unit.doors.dicomweb.conftest import House


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("NoSuchKey=1", "search-key-unknown"),
        ("StudyDate=soon", "search-value-invalid"),
        ("limit=-1", "parameter-invalid"),
    ],
)
async def test_a_search_that_cannot_be_honoured_is_refused_and_in_the_ledger(
    house: House, query: str, slug: str
) -> None:
    await house.rooms.store(instance())
    async with house.clinician() as client:
        assert (await client.get("/studies")).status_code == 200
        refused = await client.get(f"/studies?{query}")
    assert (refused.status_code, refused.json()["type"]) == (400, f"urn:troth:{slug}")
    refusal, search = (await house.rooms.events("archive:studies:queried"))[:2]
    assert (refusal.outcome, search.outcome) == ("refused", "done")
    assert (refusal.payload or {})["reason"] == slug
    assert refusal.actor_id == search.actor_id
