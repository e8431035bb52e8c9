"""The code of a mail and a passkey alone, where something else happens at the same moment."""

from __future__ import annotations

import re

import pytest

from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADDRESS, Outbox, permit_for
from troth.kit import clock, ids
from troth.people import FactorRefused, Organisation, People, SignInLinkOver, Standing, User
from troth.people.challenges import factor_context
from troth.people.factors import Challenge, store
from troth.people.factors.passkeys import Party
from troth.vault import KeyRef, Keyring


@pytest.fixture
async def grace(people: People, hospital: Organisation, new_email: str) -> User:
    return await people.add_user(permit_for(hospital.id), hospital.id, new_email, "Grace Hopper", "clinician")


async def asked(people: People, outbox: Outbox, email: str, token: str = "") -> tuple[str, str, str]:
    """The cookie of a browser that asked, with the code and the link of its mail."""
    found = await people.start_sign_in(email, "2001:db8:77::1", token)
    await people.settled()
    [code] = re.findall(r"\b\d{3} \d{3}\b", outbox.to(email)[-1])
    return found.token, code, outbox.secret_to(email)


async def test_a_code_uses_up_the_link_of_its_own_mail_whatever_the_browser_asks_meanwhile(
    people: People, hospital: Organisation, outbox: Outbox, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await people.add_user(permit_for(hospital.id), hospital.id, f"other-{grace.email}", "Other", "clinician")
    token, code, own = await asked(people, outbox, grace.email)
    people_of, seen = people._people_of, [""]

    async def meanwhile(link: bytes) -> list[Standing]:
        found = await people_of(link)
        if not seen[0]:
            seen[0] = "asking"
            _, _, seen[0] = await asked(people, outbox, other.email, token)
        return found

    monkeypatch.setattr(people, "_people_of", meanwhile)
    assert isinstance(await people.sign_in_by_code(token, code, ADDRESS), Challenge)
    assert [each.account_id for each in await people.people_at(seen[0])] == [other.id], "theirs goes on working"
    with pytest.raises(SignInLinkOver):
        await people.people_at(own)


@pytest.mark.parametrize("when", ["before it is proved", "after it was proved"])
async def test_the_passkey_of_an_account_whose_key_is_destroyed_is_refused(
    people: People, hospital: Organisation, database: ServedDatabase, keyring: Keyring, grace: User,
    monkeypatch: pytest.MonkeyPatch, when: str,
) -> None:  # fmt: skip
    factor_id = ids.uuid7()
    async with database.transaction(hospital) as connection:
        found = await connection.execute("select key from account where id = %s", (grace.id,))
        row = await found.fetchone()
        assert row is not None
        key = KeyRef(row["key"])
        sealed = keyring.seal(key, b"{}", factor_context(hospital.id, factor_id))
        values = {"tenant": hospital.id, "id": factor_id, "account_id": grace.id, "kind": "user", "form": "passkey"}
        await store.insert_factor(connection, {**values, "sealed": sealed, "last_step": 0, "made_at": clock.now()})
    made = b"r" * 16 + int(clock.now().timestamp()).to_bytes(8, "big")
    nonce = made + await people._mark(made)
    handle = hospital.id.bytes + grace.id.bytes + b"u"

    def proved(*_: object) -> tuple[int, int]:
        if when == "after it was proved":
            monkeypatch.setattr(people, "_who_would_stand", gone)
        return 0, 1

    async def gone(*_: object) -> None:
        keyring.destroy([key])
        keyring.unseal(key, sealed, factor_context(hospital.id, factor_id))

    monkeypatch.setattr(Party, "told", lambda *_: (handle, nonce))
    monkeypatch.setattr(Party, "proved", proved)
    if when == "before it is proved":
        assert [each.account_id for each in await people.people_by_passkey("{}")] == [grace.id]
        keyring.destroy([key])
    else:
        standing = await people._standings_of(grace.id, None)

        async def standings(*_: object) -> list[Standing]:
            return standing

        monkeypatch.setattr(people, "_standings_of", standings)
    with pytest.raises(FactorRefused):
        await people.sign_in_by_passkey("{}", ADDRESS)
