"""Which cookies the pages really set, as the answers leave: each is listed, and one that is not is seen."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.common.deployment import Deployment, OpenDeployment
from troth.policy import Target
from troth.proofs import BreachLasts, Proven, Standing

BREAKS = "everything: a page sets a cookie that nobody listed"
DEPLOYMENTS = ("imaging-cloud", "imaging-host", "equipment-maker", "terminology-vendor")


@pytest.fixture(params=DEPLOYMENTS)
async def place(request: pytest.FixtureRequest, open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment(request.param)


async def stand(place: Deployment) -> list[Proven]:
    """The promises about cookies that the platform can keep."""
    found = (await place.looked()).reports
    return [
        each for report in found for each in report.promises
        if each.kind == "cookie" and each.standing is not Standing.NOT_POSSIBLE
    ]  # fmt: skip


async def test_a_cookie_that_is_in_no_clause_breaks_every_promise_about_them(place: Deployment) -> None:
    asked = await place.anybody().web.get("/notice")
    assert "set-cookie" not in asked.headers
    before = await stand(place)
    assert before
    assert {each.standing for each in before} == {Standing.UNPROVEN}, "nobody was given one yet"
    member = await place.staff("office")
    out = await member.post("/sign-out", page="/notice")
    assert "troth_session" in out.headers["set-cookie"]
    assert {each.standing for each in await stand(place)} == {Standing.KEPT}

    async def counting(http_request: Request) -> Response:
        answer = PlainTextResponse("counted")
        answer.set_cookie("visits", "1")
        return answer

    place.pages.router.routes.insert(0, Route("/count", counting))
    assert (await place.anybody().web.get("/count")).status_code == 200
    broken = await stand(place)
    assert {each.standing for each in broken} == {Standing.BROKEN}
    assert "visits" in broken[0].reason
    assert {each.against for each in broken} == {0}, "it is so now: listing it ends it, and no words do"
    officer = await place.staff("office", next(each for each in place.organisations if each.operates))
    permit = await place.rooms.policy.require(
        officer.actor, "publish_notice", Target("notice", None, officer.actor.tenant), "administration"
    )
    breaches = place.rooms.breaches
    [breach, *_] = [each for each in await breaches.all(permit) if each.clause == broken[0].clause_id]
    with pytest.raises(BreachLasts):
        await breaches.explain(permit, breach.id, "A page counted", "It was ended")
