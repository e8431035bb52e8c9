"""Recipients and contracts, transfers and orders, instructions; and disclosing a study."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault, ending_fault
from troth.doors.web.office import exchange_forms as fields
from troth.doors.web.office.exchange_tables import PAGES, REASONED, known_words, register
from troth.doors.web.office.exchange_views import ExchangePage, RegisterView
from troth.doors.web.places import place
from troth.doors.web.render import Page
from troth.exchange import Departure, Disclosure, DisclosureRefused, NotDelivered, RegisterMalformed, SaleBarred
from troth.policy import Actor, Permit, PermitDenied, Target

PURPOSE = "administration"
RECORDED = "Every change of a register is written to the log"
ROLES = ("office", "admin")
ACTIONS: Mapping[str, str] = {"instructions": "instruct"}
REGISTERS = tuple(name for _, names in PAGES.values() for name in names)
HOME: Mapping[str, str] = {name: page for page, (_, names) in PAGES.items() for name in names}


PLATFORM_PAGES = ("recipients", "transfers")
PLATFORM_REGISTERS = ("recipients", "contracts", "instruments")
"""What the platform files for itself; orders and instructions are those of an organisation."""


class ExchangePages:
    """Handlers for the registers of what leaves: those of an organisation, or the platform's own.

    Args:
        desk: What every handler works with.
        is_platform: The registers are the platform's, kept by the office of who runs the service.
    """

    def __init__(self, desk: Desk, *, is_platform: bool = False) -> None:
        self._desk = desk
        self._is_platform = is_platform
        self._base = "/office/platform" if is_platform else "/office"
        self._pages = PLATFORM_PAGES if is_platform else tuple(PAGES)

    async def show(self, http_request: Request) -> Response:
        """A page of registers."""
        return await self._show(http_request, _page_of(http_request))

    async def add(self, http_request: Request) -> Response:
        """Add a row to a register."""
        name = _register_of(http_request)
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit = await self._permit(actor, name)
        typed = await self._desk.sent(http_request, visitor)
        if lacking := fields.missing(name, typed):
            return await self._show(http_request, HOME[name], name, typed, *lacking)
        try:
            await self._add(permit, name, typed)
        except (RegisterMalformed, SaleBarred) as refused:
            return await self._show(http_request, HOME[name], name, typed, Fault("", refused.detail))
        return go(f"{self._base}/{HOME[name]}")

    async def end(self, http_request: Request) -> Response:
        """End a row; of an instrument, whom that touches is shown."""
        name, row_id = _register_of(http_request), id_of(http_request)
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit = await self._permit(actor, name)
        reason = (await self._desk.sent(http_request, visitor)).get("reason", "")
        if name in REASONED and not reason:
            return await self._show(http_request, HOME[name], "", {}, ending_fault(row_id))
        exchange = self._desk.rooms.exchange
        if name == "instruments":
            try:
                affected = await exchange.invalidate(permit, row_id, reason)
            except RegisterMalformed as refused:
                return await self._show(http_request, HOME[name], "", {}, Fault("", refused.detail))
            names = tuple(each.name for each in affected.recipients)
            told = f"Nothing goes there on it any more. {affected.disclosures} disclosures went on it before."
            return await self._show(http_request, HOME[name], told=told, affected=names)
        if name == "contracts":
            await exchange.end_contract(permit, row_id, reason)
        elif name == "recipients":
            await exchange.end_recipient(permit, row_id)
        elif name == "orders":
            await exchange.end_order(permit, row_id, reason)
        else:
            await exchange.revoke_instruction(permit, row_id)
        return go(f"{self._base}/{HOME[name]}")

    async def review(self, http_request: Request) -> Response:
        """Say that one has read an order that somebody else filed."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        await self._desk.sent(http_request, visitor)
        permit = await self._permit(actor, "orders")
        try:
            await self._desk.rooms.exchange.review_order(permit, id_of(http_request))
        except RegisterMalformed as refused:
            return await self._show(http_request, HOME["orders"], "", {}, Fault("", refused.detail))
        return go(f"/office/{HOME['orders']}")

    async def disclose(self, http_request: Request) -> Response:
        """Send a study or an account to a registered recipient, or say why nothing left."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        typed = await self._desk.sent(http_request, visitor)
        if lacking := fields.missing("disclosures", typed):
            return await self._show(http_request, "recipients", "disclosures", typed, *lacking)
        try:
            wanted = _wanted(typed)
        except RegisterMalformed as refused:
            return await self._show(http_request, "recipients", "disclosures", typed, Fault("", refused.detail))
        try:
            departure = await self._send(actor, wanted)
        except (DisclosureRefused, NotDelivered) as refused:
            alert = f"Nothing left. {refused.detail}" if isinstance(refused, DisclosureRefused) else refused.detail
            return await self._show(
                http_request, "recipients", "disclosures", typed, Fault("", alert), status=refused.http_status
            )
        rests_on = departure.rests_on
        told = f"It arrived at {rests_on.recipient.name} and is in the accounting."
        if rests_on.instrument is not None:
            told += f" It went abroad on {rests_on.instrument.key} ({fields.said(rests_on.instrument.kind)})."
        return await self._show(http_request, "recipients", told=told)

    # How

    async def _send(self, actor: Actor, wanted: Disclosure) -> Departure:
        exchange, policy = self._desk.rooms.exchange, self._desk.rooms.policy
        target = await exchange.target(actor, wanted)
        try:
            permit = await policy.require(actor, "disclose", target, wanted.purpose)
        except PermitDenied as denied:
            if target.id is not None:  # who keeps the registers may read in them what is missing
                keeping = await self._permit(actor, "recipients")
                await exchange.explain(keeping, wanted)
                if denied.clauses:
                    clauses = ", ".join(denied.clauses)
                    raise DisclosureRefused("clause", f"The notice forbids it (§ {clauses}).") from None
            raise
        return await (exchange.send_study if wanted.study_id is not None else exchange.send_by_mail)(permit, wanted)

    async def _add(self, permit: Permit, name: str, typed: Mapping[str, str]) -> None:
        exchange = self._desk.rooms.exchange
        document = typed.get("document", "").encode()
        if name == "instructions":
            await exchange.give_instruction(
                permit, typed.get("key", ""), typed.get("words", ""), fields.listed(typed, "actions"),
                fields.listed(typed, "purposes"), fields.day(typed, "valid_from"),
                fields.day_or_none(typed, "valid_until"),
            )  # fmt: skip
        elif name == "contracts":
            await exchange.add_contract(
                permit, typed.get("key", ""), typed.get("kind", ""), typed.get("party", ""),
                fields.day(typed, "valid_from"), fields.day_or_none(typed, "valid_until"),
                approved_by=typed.get("approved_by", ""), document=document,
            )  # fmt: skip
        elif name == "instruments":
            await exchange.add_instrument(
                permit, typed.get("key", ""), typed.get("kind", ""), typed.get("origin", ""),
                typed.get("destination", ""), fields.day(typed, "valid_from"),
                fields.day_or_none(typed, "valid_until"), recipient_key=typed.get("recipient_key", ""),
                document=document,
            )  # fmt: skip
        elif name == "orders":
            await exchange.add_order(
                permit, typed.get("kind", ""), typed.get("authority", ""), typed.get("country", ""),
                typed.get("scope", ""), fields.ids(typed, "studies"), fields.day(typed, "valid_from"),
                fields.day_or_none(typed, "valid_until"), document=document,
            )  # fmt: skip
        else:
            await self._add_recipient(permit, typed)

    async def _add_recipient(self, permit: Permit, typed: Mapping[str, str]) -> None:
        wanted = typed.get("peer_ae", "")
        peers = await self._desk.rooms.people.peers(permit) if wanted else []
        peer = next((each for each in peers if each.ae == wanted), None)
        if wanted and peer is None:
            raise RegisterMalformed("No system with this AE title is registered.", hint="Register it first.")
        await self._desk.rooms.exchange.add_recipient(
            permit, typed.get("key", ""), typed.get("name", ""), typed.get("kind", ""), typed.get("country", ""),
            fields.listed(typed, "categories"), fields.listed(typed, "purposes"),
            stands_under=typed.get("stands_under", ""), address=typed.get("address", ""),
            contract_key=typed.get("contract_key", ""), peer_id=peer.id if peer else None,
            email=typed.get("email", ""),
        )  # fmt: skip

    async def _permit(self, actor: Actor, name: str) -> Permit:
        action = ACTIONS.get(name, "keep_register")
        return await self._desk.permit(actor, action, self._place(actor), PURPOSE)

    def _place(self, actor: Actor) -> Target:
        """Whose registers they are: of the actor's organisation, or the platform's, seen from there."""
        return Target("platform", None, actor.tenant) if self._is_platform else of_organisation(actor)

    async def _show(
        self,
        http_request: Request,
        page: str,
        name: str = "",
        typed: Mapping[str, str] | None = None,
        *faults: Fault,
        told: str = "",
        affected: tuple[str, ...] = (),
        status: int = 0,
    ) -> Response:
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        heading, names = PAGES[page]
        names = tuple(each for each in names if not self._is_platform or each in PLATFORM_REGISTERS)
        permit = await self._permit(actor, names[0])
        exchange = self._desk.rooms.exchange
        notices = [each.notice for each in await self._desk.rooms.notices.current()]
        known = await known_words(exchange, permit, notices)
        given = typed or {}
        tables = [
            await register(exchange, permit, each, given if each == name else {}, known, self._base) for each in names
        ]
        if page == "recipients" and not self._is_platform:
            tables.append(_sending(given if name == "disclosures" else {}, known))
        view = ExchangePage(
            heading=heading,
            organisation="the platform itself" if self._is_platform else actor.organisation,
            tabs=(
                *((f"{self._base}/{each}", PAGES[each][0], each == page) for each in self._pages),
                *await self._other_side(actor),
            ),
            registers=tuple(tables),
            faults=faults,
            told=told,
            affected=affected,
            cut_off=await self._cut_off(permit) if page == "transfers" and not self._is_platform else (),
        )
        return await self._answer(http_request, visitor, view, permit, status or (422 if faults else 200))

    async def _other_side(self, actor: Actor) -> tuple[tuple[str, str, bool], ...]:
        """The way between the registers of an organisation and those of the platform, for who may keep both."""
        if self._is_platform:
            return (("/office/recipients", f"Of {actor.organisation}", False),)
        may = self._desk.rooms.policy.may
        if not await may(actor, "keep_register", Target("platform", None, actor.tenant), PURPOSE):
            return ()
        return (("/office/platform/recipients", "Of the platform itself", False),)

    async def _cut_off(self, permit: Permit) -> tuple[str, ...]:
        """Recipients abroad to whom nothing can go now, as a person reads them."""
        found = await self._desk.rooms.exchange.cut_off(permit)
        return tuple(f"{each.name}, {place(each.country)}" for each in found)

    async def _answer(
        self, http_request: Request, visitor: Visitor, view: ExchangePage, permit: Permit, status: int
    ) -> Response:
        return await self._desk.page(
            http_request, visitor, view.heading, Page("office/exchange.html", view), here="/office/recipients",
            permit=permit, recorded=RECORDED, status=status,
        )  # fmt: skip


def _page_of(http_request: Request) -> str:
    return http_request.url.path.rsplit("/", 1)[1]


def _register_of(http_request: Request) -> str:
    parts = http_request.url.path.removeprefix("/office/platform").removeprefix("/office").split("/")
    return parts[1]


def _sending(typed: Mapping[str, str], known: fields.Known) -> RegisterView:
    return RegisterView(
        name="disclosures", title="", nothing="", columns=(), rows=(), add_title="Record a disclosure",
        add_path="/office/disclosures", fields=tuple(each.view(typed, known) for each in fields.FORMS["disclosures"]),
    )  # fmt: skip


def _wanted(typed: Mapping[str, str]) -> Disclosure:
    return Disclosure(
        kind=typed.get("kind", ""),
        recipient_key=typed.get("recipient", ""),
        category=typed.get("category", ""),
        purpose=typed.get("purpose", ""),
        study_id=fields.id_or_none(typed, "study"),
        account_id=fields.id_or_none(typed, "account"),
        order_id=fields.id_or_none(typed, "order"),
        reason=typed.get("reason", ""),
        told_on=fields.day_or_none(typed, "told_on"),
        totals=typed.get("totals", ""),
    )
