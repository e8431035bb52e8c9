"""What may send to an organisation, and which programs have a token: add, change, end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.admin.node import node_lines
from troth.doors.web.admin.views import NodeLine, OurNode, PeerRow, ServiceRow, SystemPage, SystemsPage, TokenRow
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.render import Page
from troth.kit import clock, confinement, numbers
from troth.kit.db import Space
from troth.ledger import TreeBroken
from troth.people import TOKEN_ROLES, FieldMalformed, Peer, PeerExists, PeerNotFound, SessionNotFound
from troth.policy import Actor, Permit
from troth.proofs import node_figures

PURPOSE = "administration"
RECORDED = "Which system or program is let in, changed or taken out, and when, is written to the log"
LIFETIMES: Mapping[str, timedelta] = {
    "1": timedelta(days=1),
    "7": timedelta(days=7),
    "31": timedelta(days=31),
}
DIFFERS: Mapping[str, str] = {
    "cut": "{signed:,} entries were signed, and the database has {held:,}. An older or a cut one is in its place",
    "other": "The first {signed:,} entries are not those that were signed",
    "gone": "The file that remembers what was signed last is gone from the data folder",
}
STANDS_STILL = "Its pages in the database do not fit what was signed over them"
TOLD: Mapping[str, str] = {
    "added": "The system is registered and may send. Enter at it what stands below under “How it reaches us”",
    "changed": "The change is in force",
    "ended": "The system is taken out of use",
    "revoked": "The token is revoked",
}


class SystemPages:
    """Handlers for machines and programs.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def systems(self, http_request: Request) -> Response:
        """Imaging systems, tokens, level of service; registering a system."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor, actor, {})
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "add_peer", of_organisation(actor), PURPOSE)
        assert actor.tenant is not None
        try:
            await self._desk.rooms.people.add_peer(
                permit, actor.tenant, fields.get("ae", ""), fields.get("host", ""), _port(fields),
                called_ae=fields.get("called_ae", ""), certificate=fields.get("certificate", ""),
                purpose=fields.get("purpose", ""), over_tls=fields.get("tls") == "yes",
            )  # fmt: skip
        except (FieldMalformed, PeerExists) as refused:
            return await self._page(http_request, visitor, actor, fields, Fault("ae", _said(refused)), form="peer")
        return go("/admin/systems?told=added")

    async def system(self, http_request: Request) -> Response:
        """One imaging system: another address or certificate, its end."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        permit = await self._desk.permit(actor, "administer", of_organisation(actor), PURPOSE)
        peers = await self._desk.rooms.people.peers(permit)
        peer = next((each for each in peers if each.id == id_of(http_request)), None)
        if peer is None:
            raise PeerNotFound
        if not forms.is_sent(http_request):
            return await self._one(http_request, visitor, actor, permit, peer, {})
        fields, people = await self._desk.sent(http_request, visitor), self._desk.rooms.people
        if fields.get("act") == "end":
            ending = await self._desk.permit(actor, "end_access", of_organisation(actor), PURPOSE)
            await people.end_peer(ending, peer.id)
            return go("/admin/systems?told=ended")
        changing = await self._desk.permit(actor, "add_peer", of_organisation(actor), PURPOSE)
        try:
            changed = await people.change_peer(
                changing, peer.id, fields.get("host", ""), _port(fields), fields.get("certificate", ""),
                over_tls=fields.get("tls") == "yes",
            )  # fmt: skip
        except (FieldMalformed, PeerExists) as refused:
            wrong = Fault("host", _said(refused))
            return await self._one(http_request, visitor, actor, permit, peer, fields, wrong)
        return go(f"/admin/systems/{changed.id}?told=changed")

    async def issue(self, http_request: Request) -> Response:
        """Issue a token; it is shown on this one answer and nowhere again."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "issue_token", of_organisation(actor), PURPOSE)
        assert actor.tenant is not None
        lifetime = LIFETIMES.get(fields.get("days", ""), timedelta(0))
        try:
            issued = await self._desk.rooms.people.issue_token(
                permit, actor.tenant, fields.get("role", ""), fields.get("purpose", ""), lifetime
            )
        except FieldMalformed as refused:
            return await self._page(
                http_request, visitor, actor, fields, Fault("purpose", _said(refused)), form="token"
            )
        return await self._page(http_request, visitor, actor, {}, issued=issued)

    async def revoke(self, http_request: Request) -> Response:
        """Revoke a token."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        await self._desk.sent(http_request, visitor)
        permit = await self._desk.permit(actor, "end_access", of_organisation(actor), PURPOSE)
        if not await self._desk.rooms.people.end_session_by_id(permit, id_of(http_request)):
            raise SessionNotFound
        return go("/admin/systems?told=revoked")

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        fields: Mapping[str, str],
        *faults: Fault,
        form: str = "",
        issued: str = "",
    ) -> Response:
        rooms = self._desk.rooms
        permit = await self._desk.permit(actor, "administer", of_organisation(actor), PURPOSE)
        assert actor.tenant is not None
        by_role = {each: await rooms.people.purposes(each) for each in TOKEN_ROLES}
        level, services = await rooms.people.level(permit, actor.tenant), rooms.policy.compiled.services
        view = SystemsPage(
            organisation=actor.organisation,
            peers=tuple(_peer(each) for each in await rooms.people.peers(permit)),
            tokens=tuple(
                TokenRow(
                    str(each.id), words.role(each.role), words.purpose(each.purpose), each.made_at, each.expires_at
                )
                for each in await rooms.people.tokens(permit)
            ),
            level=level.replace("_", " "),
            services=tuple(ServiceRow(each.says, each.clause_id, level in each.levels) for each in services),
            purposes=tuple((each, words.purpose(each)) for each in by_role["peer"]),
            token_purposes=_by_purpose(by_role),
            roles=tuple((each, words.role(each)) for each in TOKEN_ROLES if by_role[each]),
            ours=self._ours(),
            can_add=rooms.policy.grants(actor.role, "add_peer") and bool(by_role["peer"]),
            can_issue=rooms.policy.grants(actor.role, "issue_token"),
            fields=fields,
            form=form,
            issued=issued,
            differs=await self._differs(),
            lacking=confinement.lacking(),
            node=await self._node(actor.tenant),
            faults=faults,
            told="" if faults or issued else TOLD.get(http_request.query_params.get("told", ""), ""),
        )
        return await self._desk.page(
            http_request, visitor, "Systems", Page("admin/systems.html", view), here="/admin/systems", permit=permit,
            recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    def _ours(self) -> OurNode:
        """What somebody types at a system, so that it reaches us."""
        settings = self._desk.rooms.settings
        host = settings.dicom.host
        with suppress(ValueError):  # it has a name
            if ip_address(host).is_unspecified:  # it takes calls at every address
                host = urlsplit(settings.http_url).hostname or host
        return OurNode(settings.ae, host, settings.dicom.port, bool(settings.dicom_tls_certificate))

    async def _node(self, tenant: UUID) -> tuple[NodeLine, ...]:
        """This computer in figures, for who runs the platform: what others hold is none of an organisation's."""
        rooms = self._desk.rooms
        all_of_them = await rooms.people.organisations()
        if len(all_of_them) > 1 and not any(each.id == tenant and each.operates for each in all_of_them):
            return ()
        return node_lines(await node_figures(rooms.database, rooms.settings.data_dir, tenant), clock.now())

    async def _differs(self) -> str:
        """How the log differs from the one that was signed last, in words."""
        rooms = self._desk.rooms
        try:
            async with rooms.database.transaction(Space(None)) as connection:
                found = await rooms.ledger.differs(connection)
                stands_still = found is None and await rooms.ledger.stands_still(connection)
        except TreeBroken as fault:
            return fault.detail
        if stands_still:
            return STANDS_STILL
        return "" if found is None else DIFFERS[found.how].format(signed=found.signed, held=found.held)

    async def _one(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        permit: Permit,
        peer: Peer,
        fields: Mapping[str, str],
        *faults: Fault,
    ) -> Response:
        grants, shown = self._desk.rooms.policy.grants, _peer(peer)
        view = SystemPage(
            peer=shown,
            fields=fields or {
                "host": shown.host, "port": str(shown.port), "certificate": shown.certificate,
                "tls": "yes" if shown.over_tls else "",
            },
            can_change=grants(actor.role, "add_peer"),
            can_end=grants(actor.role, "end_access"),
            faults=faults,
            told="" if faults else TOLD.get(http_request.query_params.get("told", ""), ""),
        )  # fmt: skip
        return await self._desk.page(
            http_request, visitor, "An imaging system", Page("admin/system.html", view), here="/admin/systems",
            permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip


def _peer(each: Peer) -> PeerRow:
    return PeerRow(
        str(each.id), each.ae, each.called_ae or "any of ours", each.host, each.port, words.purpose(each.purpose),
        each.certificate, each.over_tls,
    )  # fmt: skip


def _by_purpose(by_role: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Each purpose of a token, with the roles that may do something for it."""
    found = dict.fromkeys(purpose for purposes in by_role.values() for purpose in purposes)
    roles = {each: ", ".join(words.role(role) for role in by_role if each in by_role[role]) for each in found}
    return tuple((each, f"{words.purpose(each).capitalize()} ({roles[each]})") for each in found)


def _port(fields: Mapping[str, str]) -> int:
    """The port that was typed; 0, which none is, where it is no number."""
    return numbers.whole(fields.get("port"), most=99_999) or 0


def _said(refused: FieldMalformed | PeerExists) -> str:
    told = refused.detail or refused.title
    return f"{told[:1].upper()}{told[1:]}{f'. {refused.hint}' if refused.hint else ''}".rstrip(".")
