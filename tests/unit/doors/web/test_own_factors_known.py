"""What is held of somebody names their second factors, and nothing that would let whoever reads it sign in."""

from __future__ import annotations

import io
import json
import re
import zipfile

from tests.common.arrivals import code_now, secret_of
from tests.common.deployment import OpenDeployment, Person


async def enrolled(person: Person) -> tuple[str, str]:
    """Set another app for codes up; gives the key as it was shown and the new session."""
    path = "/account/factors"
    await person.post(path, {"act": "add"})
    key = re.search(r'id="key">([A-Z2-7 ]+)<', (await person.web.get(f"{path}?add=1")).text)
    assert key is not None
    added = await person.post("/second-step/app", {"code": code_now(secret_of(key[1]))}, page=f"{path}?add=1")
    session = added.cookies["troth_session"]
    person.web.cookies.clear()
    person.web.cookies.set("troth_session", session)
    return key[1], session


async def test_the_account_and_the_copy_name_the_second_factor(open_deployment: OpenDeployment) -> None:
    place = await open_deployment("imaging-host")
    doctor, patient = await place.staff("clinician"), await place.patient(await place.study())
    key, _ = await enrolled(doctor)
    said = r"app for codes, set up on \d+ \w+ \d{4}, \d\d:\d\d[^,]*(?:, \w+ time)?, last used on"
    page = (await doctor.web.get("/account")).text
    assert len(re.findall(said, page)) == 2
    assert '<th scope="row">Second factor</th>' in page
    copied = (await doctor.web.get("/account/copy.json")).text
    assert len(re.findall(said, copied)) == 2
    for secret in (key, key.replace(" ", "")):
        assert secret not in page + copied

    key, _ = await enrolled(patient)
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await place.fulfil()
    taken = await patient.web.get(f"{asked.headers['location']}/copy")
    with zipfile.ZipFile(io.BytesIO(taken.content)) as copy:
        index, held = copy.read("INDEX.HTM").decode(), json.loads(copy.read("HELD.JSON"))
    assert len(re.findall(said, index)) == 1
    [account] = held["your_accounts"]
    [factor] = account["second_factors"]
    assert factor["kind"] == "app for codes"
    assert factor["enrolled_at"] <= factor["last_used_at"]
    assert key.replace(" ", "") not in index + json.dumps(held)
