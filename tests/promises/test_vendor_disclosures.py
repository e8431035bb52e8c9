"""A vendor of vocabularies: each kind of disclosure of an account has conditions and a record of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from typing import Any

import httpx
import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.common.outside import SINCE, Office, office_of
from troth.kit import clock
from troth.people import Organisation
from troth.policy import Target


@dataclass
class Vendor:
    """The deployment, its privacy desk, and somebody with an account."""

    place: Deployment
    desk: Office
    member: Person

    @property
    def account(self) -> str:
        assert self.member.user is not None
        return str(self.member.user.id)

    async def recipient(self, key: str, kind: str, under: str, purpose: str, **typed: Any) -> None:
        """Register a recipient that gets mail."""
        await self.desk.filed(
            "recipients", key=key, name=f"Outside {key}", kind=kind, stands_under=under, categories="account",
            purposes=purpose, email=f"{key}@outside.invalid", **{"country": "US", **typed},
        )  # fmt: skip

    async def disclose(self, recipient: str, kind: str, purpose: str, **typed: Any) -> Any:
        """Give the account to a recipient, as the form does."""
        fields = {"account": self.account, "recipient": recipient, "purpose": purpose, "kind": kind}
        return await self.desk.person.post(
            "/office/disclosures", {**fields, "category": "account", **typed}, page="/office/recipients"
        )

    async def refused(self, words: str, recipient: str, kind: str, purpose: str, **typed: Any) -> None:
        """It is refused, nothing leaves, and the ledger says so."""
        before, told = len(mails(self.place)), len(await self.place.ledgered(kind="exchange:disclosure:refused"))
        answer = await self.disclose(recipient, kind, purpose, **typed)
        assert answer.status_code == 409, answer.text
        assert words in answer.text
        assert len(mails(self.place)) == before
        assert len(await self.place.ledgered(kind="exchange:disclosure:refused")) == told + 1

    async def passed(self, recipient: str, kind: str, purpose: str, **typed: Any) -> tuple[str, ...]:
        """It leaves, to the registered address and nowhere else; gives what the record rests on."""
        before = len(mails(self.place))
        answer = await self.disclose(recipient, kind, purpose, **typed)
        assert answer.status_code == 200, answer.text
        [mail] = mails(self.place)[before:]
        assert mail["To"] == f"{recipient}@outside.invalid"
        [attached] = list(mail.iter_attachments())
        assert self.member.email in attached.get_content().decode()
        recorded = (await self.place.ledgered(kind="exchange:disclosure:recorded"))[-1]
        assert (recorded.payload or {})["recipient"] == f"Outside {recipient}"
        assert (recorded.payload or {})["disclosure"] == kind
        assert (await self.place.ledgered(kind="exchange:disclosure:left"))[-1].index > recorded.index  # type: ignore[operator]
        return recorded.clauses


def mails(place: Deployment) -> list[EmailMessage]:
    files = sorted((place.rooms.settings.data_dir / "outbox").glob("**/*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("terminology-vendor")


@pytest.fixture(scope="module")
async def vendor(place: Deployment) -> Vendor:
    return await vendor_of(place, place.first)


async def vendor_of(place: Deployment, house: Organisation) -> Vendor:
    return Vendor(place, await office_of(place, house), await place.staff("clinician", house))


@pytest.mark.promise("TV-11")
async def test_to_an_affiliate_under_its_contract(vendor: Vendor) -> None:
    await vendor.recipient("sister", "affiliate", "affiliates", "affiliates_work", contract_key="sister")
    await vendor.refused("No contract with", "sister", "affiliate", "affiliates_work")
    await vendor.desk.contract("sister")
    clauses = await vendor.passed("sister", "affiliate", "affiliates_work")
    assert any(each.startswith("contract:") for each in clauses)


@pytest.mark.promise("TV-11")
async def test_to_a_service_provider_bound_as_processor(vendor: Vendor) -> None:
    await vendor.recipient("mailer", "service_provider", "providers", "affiliates_work", contract_key="mailer")
    await vendor.desk.contract("mailer", "controller")
    await vendor.refused("not of the kind", "mailer", "service", "affiliates_work")
    await vendor.desk.contract("mailer", "processor")
    await vendor.passed("mailer", "service", "affiliates_work")


@pytest.mark.promise("TV-11")
async def test_by_law_on_an_order_with_its_document(vendor: Vendor) -> None:
    await vendor.recipient("court", "authority", "courts", "court_orders")
    demand = {"kind": "legal_order", "authority": "District court", "country": "US", "scope": "One account.",
              "studies": vendor.account, "valid_from": SINCE}  # fmt: skip
    await vendor.refused("No legal order is named", "court", "law", "court_orders")
    await vendor.desk.filed("orders", **demand)
    [bare] = await vendor.desk.orders()
    await vendor.refused("is not on file", "court", "law", "court_orders", order=str(bare.id))
    await vendor.desk.filed("orders", **{**demand, "document": "We order that the account be handed over."})
    filed = next(each for each in await vendor.desk.orders() if each.document_id)
    clauses = await vendor.passed("court", "law", "court_orders", order=str(filed.id))
    assert f"legal_order:{filed.id}" in clauses


@pytest.mark.promise("TV-11")
async def test_to_protect_somebody_with_the_reason_written_down(vendor: Vendor) -> None:
    await vendor.recipient("rescue", "authority", "agencies", "protection")
    await vendor.refused("why it cannot wait", "rescue", "protection", "protection", reason="urgent")
    why = "Somebody announced in a letter to harm a colleague today."
    await vendor.passed("rescue", "protection", "protection", reason=why)
    recorded = (await vendor.place.ledgered(kind="exchange:disclosure:recorded"))[-1]
    assert (recorded.payload or {})["reason"] == why


@pytest.mark.promise("TV-11")
async def test_by_contract_with_the_other_party(vendor: Vendor) -> None:
    await vendor.recipient("party", "partner", "counterparties", "protection", contract_key="party")
    await vendor.refused("No contract with", "party", "contract", "protection")
    await vendor.desk.contract("party", "controller")
    await vendor.passed("party", "contract", "protection")


@pytest.mark.promise("TV-11")
async def test_on_a_merger_after_the_people_were_told(vendor: Vendor) -> None:
    await vendor.recipient("buyer", "successor", "successors", "protection", contract_key="buyer")
    await vendor.desk.contract("buyer", "controller")
    await vendor.refused("have to be told", "buyer", "merger", "protection")
    await vendor.passed("buyer", "merger", "protection", told_on=clock.today().isoformat())


@pytest.mark.promise("TV-11")
async def test_for_purposes_stated_at_collection(vendor: Vendor) -> None:
    await vendor.recipient("stated", "partner", "counterparties", "affiliates_work", contract_key="stated")
    await vendor.desk.contract("stated", "controller")
    await vendor.refused("does not name", "stated", "stated", "affiliates_work")
    await vendor.recipient("named", "partner", "counterparties", "protection", contract_key="stated")
    await vendor.passed("named", "stated", "protection")


@pytest.mark.promise("TV-11")
async def test_with_consent_until_it_is_taken_back(vendor: Vendor) -> None:
    await vendor.recipient("friend", "partner", "counterparties", "introductions", contract_key="friend")
    await vendor.desk.contract("friend", "controller")
    await vendor.refused("has not said yes", "friend", "consent", "introductions")
    user = vendor.member.user
    assert user is not None
    permit = vendor.place.set_up_permit("choose", Target("account", user.id, user.tenant))
    await vendor.place.rooms.choices.answer_consent(permit, user.id, "introductions", "given")
    await vendor.passed("friend", "consent", "introductions")
    await vendor.place.rooms.choices.answer_consent(permit, user.id, "introductions", "withdrawn")
    await vendor.refused("has taken it back", "friend", "consent", "introductions")


@pytest.mark.promise("TV-11")
async def test_to_partners_only_totals_without_small_groups(place: Deployment) -> None:
    house = await place.organisation("Customer of totals", "controller", "US")
    vendor = await vendor_of(place, house)
    await vendor.recipient("ally", "partner", "partners", "partner_totals", contract_key="ally")

    async def ask(recipient: str = "ally", **typed: str) -> httpx.Response:
        fields = {"totals": "accounts_by_role", "recipient": recipient, "purpose": "partner_totals", "kind": "totals"}
        given = {**fields, "category": "account", **typed}
        return await vendor.desk.person.post("/office/disclosures", given, page="/office/recipients")

    async def refused(said: str, recipient: str = "ally", **typed: str) -> None:
        before = len(mails(place)), len(await place.ledgered(kind="exchange:disclosure:refused", house=house))
        answer = await ask(recipient, **typed)
        assert answer.status_code == 409, answer.text
        assert said in unescape(answer.text)
        after = len(mails(place)), len(await place.ledgered(kind="exchange:disclosure:refused", house=house))
        assert after == (before[0], before[1] + 1)

    await refused("No contract with")
    await vendor.desk.contract("ally", "controller")
    await refused("Every group has fewer than 20 people")
    inside = place.set_up_permit("administer", Target("organisation", house.id, house.id))
    for number in range(19):  # with the member there are twenty
        await place.rooms.people.add_user(inside, house.id, f"n{number}@x.example", f"Number {number}", "clinician")
    before = len(mails(place))
    answer = await ask()
    assert answer.status_code == 200, answer.text
    [mail] = mails(place)[before:]
    assert mail["To"] == "ally@outside.invalid"
    [attached] = list(mail.iter_attachments())
    assert attached.get_content().split() == ["group,people", "clinician,20"], "one privacy officer is no group"
    assert "Number" not in mail.as_string()
    [recorded] = await place.ledgered(kind="exchange:disclosure:recorded", house=house)
    assert "4.24" in recorded.clauses
    assert (recorded.payload or {})["what"] == "Accounts by role; groups of fewer than 20 people are left out"
    assert len(await place.ledgered(kind="exchange:disclosure:left", house=house)) == 1

    await refused("is about one study, one account or one table", account=vendor.account)
    await refused("Totals leave as totals", kind="contract")
    await refused("Totals leave as totals", totals="names_by_role")
    await vendor.recipient("maker", "partner", "counterparties", "protection", contract_key="ally")
    await refused("No clause says how large a group has to be", "maker", purpose="protection")
    await vendor.refused("is no recipient for this kind", "ally", "service", "partner_totals")


@pytest.mark.promise("TV-15", shows="transfer")
async def test_from_europe_and_switzerland_only_on_the_clauses(place: Deployment) -> None:
    for region in ("FR", "CH"):
        vendor = await vendor_of(place, await place.organisation(f"Customer in {region}", "controller", region))
        await vendor.recipient(f"firm_{region.lower()}", "service_provider", "providers", "affiliates_work",
                               contract_key="firm")  # fmt: skip
        await vendor.desk.contract("firm")
        there = f"firm_{region.lower()}"
        await vendor.refused(f"transfers from {region} to US", there, "service", "affiliates_work")
        origin = "EEA" if region == "FR" else region
        await vendor.desk.instrument("standard_clauses", origin, "US")
        clauses = await vendor.passed(there, "service", "affiliates_work")
        instrument = (await vendor.desk.instruments())["standard_clauses"]
        assert f"instrument:{instrument.id}" in clauses
        await vendor.desk.end("instruments", instrument.id, "A court struck it down.")
        await vendor.refused("is not valid any more", there, "service", "affiliates_work")


@pytest.mark.promise("TV-10", shows="page")
async def test_the_page_says_that_nothing_is_sold_and_counts_what_left(place: Deployment) -> None:
    house = await place.organisation("Customer who is not sold", "controller", "US")
    vendor = await vendor_of(place, house)
    await vendor.recipient("relative", "affiliate", "affiliates", "affiliates_work", contract_key="relative")
    await vendor.desk.contract("relative")
    await vendor.passed("relative", "affiliate", "affiliates_work")
    fields = {"key": "broker", "name": "Broker", "kind": "partner", "country": "US", "stands_under": "counterparties"}
    bought = await vendor.desk.file("recipients", **fields, categories="account", purposes="sale")
    assert bought.status_code == 422
    assert "§ 5.1" in unescape(bought.text)
    assert "broker" not in await vendor.desk.recipients()
    await vendor.refused("rules out this purpose (§ 5.1)", "relative", "affiliate", "sale")

    kept = await place.ledgered(kind="exchange:disclosure:recorded")
    assert all(each.purpose not in {"sale", "lease"} for each in kept)
    await place.looked()
    answer = await place.anybody().web.get("/do-not-sell", headers={"Sec-GPC": "1"})
    assert answer.status_code == 200
    page = " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
    assert "We neither sell nor rent it out" in page
    assert "Sale § 5.1 0 None was ever recorded" in page
    assert "Lease § 5.1 0 None was ever recorded" in page
    of_affiliates = sum(each.purpose == "affiliates_work" for each in kept)
    assert f"Affiliates work § 4.9 {of_affiliates} As this sentence" in page
    assert f"{len(kept)} disclosure" in page
    assert "every one fits" in page
    assert re.search(r"Recipients registered for a sale: 0 of [1-9][0-9]* recipients? in the registers", page)
    assert "Your browser sends Global Privacy Control" in page
    assert 'href="/promises#p5-1"' in answer.text
    assert 'id="p5-1"' in (await place.anybody().web.get("/promises")).text
