"""Organisations, and the platform's key."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import permit_for
from troth.ledger import Ledger
from troth.people import Organisation, OrganisationExists, OrganisationNotFound, People
from troth.vault import KeyRef, Keyring


async def test_an_organisation_is_a_tenant_with_a_key(
    people: People, hospital: Organisation, practice: Organisation, keyring: Keyring
) -> None:
    assert hospital.tenant == hospital.id
    assert hospital.key != practice.key
    assert keyring.is_alive(hospital.key)
    assert await people.organisation(hospital.id) == hospital
    assert await people.organisation_named("Northern Hospital") == hospital
    assert {hospital.id, practice.id} <= {one.id for one in await people.organisations()}


async def test_a_name_is_given_once_and_a_key_is_not_left_behind(
    people: People, hospital: Organisation, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[KeyRef] = []
    create = keyring.create_many

    def recording(parents: list[KeyRef | None]) -> list[KeyRef]:
        made.extend(create(parents))
        return made

    monkeypatch.setattr(keyring, "create_many", recording)
    with pytest.raises(OrganisationExists):
        await people.add_organisation(permit_for(None), hospital.name)
    assert len(made) == 1
    assert not keyring.is_alive(made[0])


async def test_no_such_organisation(people: People) -> None:
    with pytest.raises(OrganisationNotFound):
        await people.organisation(uuid4())
    with pytest.raises(OrganisationNotFound):
        await people.organisation_named("Nowhere")


async def test_nodes_that_start_at_once_agree_on_the_platform_key(
    database: ServedDatabase, keyring: Keyring, ledger: Ledger, people: People
) -> None:
    nodes = [People(database, keyring, ledger, people._mail, links=people._links) for _ in range(6)]
    keys = await asyncio.gather(*(node._platform_key() for node in nodes), people._platform_key())
    assert len(set(keys)) == 1
    assert keyring.is_alive(keys[0])
