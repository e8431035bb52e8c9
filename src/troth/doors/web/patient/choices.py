"""Choices: what somebody said yes or no to, what they stopped, and how to undo it. For patients and for staff."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.desk import Desk, clauses_of, go, id_of
from troth.doors.web.patient import choosing
from troth.doors.web.patient.choice_views import ChoicesPage, Press, ReceiptPage, Stoppable, StopPage
from troth.doors.web.render import Page
from troth.kit import numbers
from troth.kit.errors import NotFound, Unprocessable
from troth.ledger import Proof
from troth.notice import NoticeVersion
from troth.people import Choice, Restriction, Said
from troth.policy import Actor, Permit, Target

ROLES = ("patient", "clinician", "referrer", "office", "admin")
RECORDED = "What you choose is written down, and counts from the next moment"
PURPOSES = ("rights", "own_access")
STOP = "/choices/stop"
_HOW = "page"
_LONGEST_REASON = 2_000


class ChoicePages:
    """Handlers for choices.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._acts: Mapping[str, Callable[[Permit, str, Said], Awaitable[str]]] = {
            "yes": self._answer("given"),
            "no": self._answer("refused"),
            "take_back": self._answer("withdrawn"),
            "channel_on": self._channel(is_wanted=True),
            "channel_off": self._channel(is_wanted=False),
            "object": self._object,
            "stand_back": self._stand_back,
            "stay": self._version(is_accepted=False),
            "accept": self._version(is_accepted=True),
        }

    async def choices(self, http_request: Request) -> Response:
        """All choices, and what can be chosen."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit = await self._permit(actor, "choose")
        page = Page("patient/choices.html", await self._view(actor, permit))
        return await self._desk.page(
            http_request, visitor, "Your choices", page, here="/choices", permit=permit, recorded=RECORDED
        )

    async def choose(self, http_request: Request) -> Response:
        """Make one choice."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        fields = await self._desk.sent(http_request, visitor)
        act, about = fields.get("act", ""), fields.get("about", "")
        said = Said(_HOW, reason=fields.get("reason", "")[:_LONGEST_REASON])
        if act in ("stop", "allow"):
            permit = await self._permit(actor, "restrict")
            restrict = self._stop if act == "stop" else self._allow
            return go(f"/choices#{await restrict(permit, about, said)}")
        if act not in self._acts:
            raise _not_here()
        permit = await self._permit(actor, "choose")
        return go(f"/choices#{await self._acts[act](permit, about, said)}")

    async def stop(self, http_request: Request) -> Response:
        """What follows when the use of a scan, or of everything, is stopped: before it is."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        permit = await self._permit(actor, "restrict")
        about, rooms = http_request.query_params.get("about", ""), self._desk.rooms
        title, back = "everything about you", "/choices"
        if about != choosing.EVERYTHING:
            study_id, studies = _chosen(about), await rooms.archive.studies_of_subject(permit, _holder(permit))
            study = next((each for each in studies if each.id == study_id), None)
            if study is None:
                raise NotFound
            title, back = f"{words.scan(study.modalities)}, {words.day(study.study_date)}", f"/scans/{study.id}"
        version = await self._desk.version(actor)
        view = StopPage(
            title=title,
            organisation=actor.organisation,
            is_everything=about == choosing.EVERYTHING,
            emergency=_in_emergency(version, has_override=rooms.policy.grants("clinician", "override")),
            clauses=clauses_of(version.notice if version else None, "right", right="restrict"),
            press=Press("stop", about, "Stop using everything" if about == choosing.EVERYTHING else "Stop its use"),
            back=back,
        )
        return await self._desk.page(
            http_request, visitor, "Stop the use", Page("patient/stop.html", view), here="/choices", permit=permit,
            recorded=RECORDED,
        )  # fmt: skip

    async def receipt(self, http_request: Request) -> Response:
        """One receipt as a page, or as the signed record."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit = await self._permit(actor, "choose")
        receipt = await self._desk.rooms.choices.receipt(permit, id_of(http_request))
        if http_request.url.path.endswith(".json"):
            content = {
                "record": receipt.text.decode(),
                "signature": b64encode(receipt.signature).decode(),
                "public_key": b64encode(receipt.public_key).decode(),
                "algorithm": "Ed25519 over the UTF-8 text of record",
                "ledger": {"key": receipt.log_key, "checkpoint": receipt.checkpoint, **_proved(receipt.proof)},
            }
            name = f"{receipt.choice.reference}.json"
            headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
            return Response(json.dumps(content, indent=1), media_type="application/json", headers=headers)
        page = Page("patient/receipt.html", receipt_page(receipt.choice, receipt.text))
        title = f"Receipt {receipt.choice.reference}"
        return await self._desk.page(
            http_request, visitor, title, page, here="/choices", permit=permit, recorded=RECORDED
        )

    # Acts

    def _answer(self, answer: Any) -> Callable[[Permit, str, Said], Awaitable[str]]:
        async def act(permit: Permit, about: str, said: Said) -> str:
            key, _, channel = about.partition(":")
            choices = self._desk.rooms.choices
            made = await choices.answer_consent(permit, _holder(permit), key, answer, said, channel=channel)
            return made.reference

        return act

    def _channel(self, *, is_wanted: bool) -> Callable[[Permit, str, Said], Awaitable[str]]:
        async def act(permit: Permit, about: str, said: Said) -> str:
            channel, _, topic = about.partition(":")
            choices = self._desk.rooms.choices
            made = await choices.choose_channel(
                permit, _holder(permit), channel, said, is_wanted=is_wanted, topic=topic
            )
            return made.reference

        return act

    def _version(self, *, is_accepted: bool) -> Callable[[Permit, str, Said], Awaitable[str]]:
        async def act(permit: Permit, about: str, said: Said) -> str:
            number = numbers.whole(about, least=1, most=999_999)
            if number is None:
                raise Unprocessable("There is no such version")
            choices = self._desk.rooms.choices
            made = await choices.answer_version(permit, _holder(permit), number, said, is_accepted=is_accepted)
            return made.reference

        return act

    async def _object(self, permit: Permit, about: str, said: Said) -> str:
        return (await self._desk.rooms.choices.object_to(permit, _holder(permit), about, said)).reference

    async def _stand_back(self, permit: Permit, about: str, said: Said) -> str:
        return (await self._desk.rooms.choices.withdraw_objection(permit, _holder(permit), about, said)).reference

    async def _stop(self, permit: Permit, about: str, said: Said) -> str:
        """Restrict a study, or everything; the archive is told of each study, for its searches."""
        rooms, subject_id = self._desk.rooms, _holder(permit)
        held = {study.id: study.origin_id for study in await rooms.archive.studies_of_subject(permit, subject_id)}
        study_id = None if about == choosing.EVERYTHING else _chosen(about)
        if study_id is not None and study_id not in held:
            raise Unprocessable("Choose one of your own scans")
        holder_id = subject_id if study_id is None else held[study_id]
        made = await rooms.choices.restrict(permit, holder_id, study_id, said)
        for each in held if study_id is None else {study_id}:
            await rooms.archive.restrict_study(permit, each, True, said.reason)
        return made.reference

    async def _allow(self, permit: Permit, about: str, said: Said) -> str:
        """Lift a restriction; a study stays restricted while another restriction is on it."""
        rooms, subject_id = self._desk.rooms, _holder(permit)
        lifted = await rooms.choices.lift(permit, _chosen(about), said)
        standing = await rooms.choices.restrictions_of(permit, subject_id)
        kept = {each.study_id for each in standing}
        for study in await rooms.archive.studies_of_subject(permit, subject_id):
            if lifted.study_id in (None, study.id) and not {None, study.id} & kept:
                await rooms.archive.restrict_study(permit, study.id, False, said.reason)
        return lifted.reference

    # The page

    async def _permit(self, actor: Actor, action: str) -> Permit:
        """The permit for a choice about oneself, for the first purpose whose clause allows it."""
        return await self._desk.permit_on_oneself(actor, action, PURPOSES)

    async def _view(self, actor: Actor, permit: Permit) -> ChoicesPage:
        choices, holder_id = self._desk.rooms.choices, _holder(permit)
        standing = await choices.of_holder(permit, holder_id)
        holder = await choices.holder(permit, holder_id)
        versions = await choices.versions_for(holder)
        by_kind: dict[tuple[str, str], str] = {(each.kind, each.key): each.state for each in standing}
        activities = await choices.activities_for(permit, holder_id)
        restrictions = await choices.restrictions_of(permit, holder_id)
        studies, titles = await self._studies(actor, restrictions)
        label = versions[0].notice.label if versions else ""
        receipts = [choosing.receipt_of(each) for each in standing if each.kind != "age"]
        stopped = [
            choosing.restriction_receipt(each, titles.get(each.study_id, "A scan"), label) for each in restrictions
        ]
        is_pinned = any(each.kind == "version" and each.state == "refused" for each in standing)
        return ChoicesPage(
            organisation=actor.organisation,
            receipts=(*stopped, *receipts),
            questions=choosing.questions_of((each.notice for each in versions), holder.audience, standing),
            activities=tuple(choosing.activity_line(each, by_kind.get(("objection", each.key))) for each in activities),
            studies=studies,
            channels=_channels(versions, by_kind),
            version=None if is_pinned else choosing.version_line(versions, await self._desk.rooms.notices.versions()),
        )

    async def _studies(
        self, actor: Actor, restrictions: list[Restriction]
    ) -> tuple[tuple[Stoppable, ...], dict[UUID | None, str]]:
        """Scans whose use can be stopped; none for staff, or where the notice does not grant it."""
        titles: dict[UUID | None, str] = {None: "Everything about you"}
        own = Target("subject", actor.subject_id, actor.tenant, actor.subject_id)
        policy = self._desk.rooms.policy
        purpose = "rights"
        if actor.subject_id is None or not await policy.may(actor, "restrict", own, purpose):
            return (), titles
        permit = await self._desk.permit(actor, "restrict", own, purpose)
        stopped = {each.study_id: each.id for each in restrictions}
        version = await self._desk.version(actor)
        clauses = clauses_of(version.notice if version else None, "right", right="restrict")
        lines = []
        for study in await self._desk.rooms.archive.studies_of_subject(permit, actor.subject_id):
            title = f"{words.scan(study.modalities)}, {words.day(study.study_date)}"
            titles[study.id] = title
            if not {None, study.id} & stopped.keys():
                press = Press("stop", str(study.id), "Stop its use", f": {title}")
                lines.append(Stoppable(title, "In use to treat you.", clauses, press, href=f"{STOP}?about={study.id}"))
            else:
                undo = Press("allow", str(stopped.get(study.id, stopped.get(None))), "Allow use again", f": {title}")
                lines.append(Stoppable(title, "You stopped its use.", clauses, None, undo=undo))
        if lines and not stopped:
            press = Press("stop", choosing.EVERYTHING, "Stop everything")
            words_of = "Every scan, also those that come later."
            lines.append(Stoppable(titles[None], words_of, clauses, press, href=f"{STOP}?about={choosing.EVERYTHING}"))
        return tuple(lines), titles


def _proved(proof: Proof | None) -> dict[str, Any]:
    """The entry of a choice with its path to the root; nothing while it waits for its place."""
    if proof is None:
        return {}
    path = [b64encode(each).decode() for each in proof.path]
    return {"leaf": proof.leaf.decode(), "index": proof.index, "proof": path}


def receipt_page(choice: Choice, text: bytes) -> ReceiptPage:
    """One receipt with its life."""
    record = choice.record
    rings, state = choosing.state_of(choice)
    notice = record.get("notice", {})
    rows = [
        ("Receipt", choice.reference),
        (
            "Notice",
            f"{notice.get('name', '')} {notice.get('version', '')}, in force since {notice.get('effective_on', '')}",
        ),
        ("Kept by", str(record.get("pii_controller", {}).get("name", ""))),
        ("Until", words.moment(choice.expires_at) or "you change it"),
    ]
    for event in record.get("events", []):
        at = words.moment(datetime.fromisoformat(event["at"]))
        rows.append((str(event["state"]).capitalize(), f"{at}, by {event['how']}"))
    decided = str(record.get("decided_by_clause", ""))
    return ReceiptPage(
        reference=choice.reference,
        title=choosing.title_of(choice),
        state=state,
        rings=rings,
        wording=choice.wording,
        ground=choice.ground,
        clauses=tuple(filter(None, (choice.clause, decided))),
        rows=tuple(rows),
        json_href=f"/choices/{choice.id}/receipt.json",
        fingerprint=words.fingerprint(sha256(text).digest()),
    )


def _channels(versions: list[NoticeVersion], by_kind: Mapping[tuple[str, str], str]) -> tuple[Stoppable, ...]:
    """The channels that the notices use for messages nobody asked for, as far as no choice stands about them."""
    found: dict[str, Stoppable] = {}
    for version in versions:
        for clause in version.notice.all("marketing"):
            for channel in getattr(clause, "channels", ()):
                if ("channel", channel) not in by_kind and choosing.may_come(clause, channel, by_kind):
                    title = choosing.CHANNELS.get(channel, channel)
                    press = Press("channel_off", channel, "Stop it", f": {title}")
                    found.setdefault(
                        channel, Stoppable(title, "News and offers may come this way.", (clause.id,), press)
                    )
    return tuple(found.values())


def _in_emergency(version: NoticeVersion | None, *, has_override: bool) -> str:
    """What a restriction comes to in an emergency, as the notice says it."""
    if version is None or not has_override:
        return ""
    for clause in version.notice.all("right"):
        allowed = getattr(clause, "still_allowed", None)
        if allowed is not None and "emergency" in allowed.purposes:
            return "An emergency doctor still can, with a written reason."
    return "A doctor in an emergency cannot open it either."


async def undo_of(desk: Desk, actor: Actor, study_id: UUID) -> Press | None:
    """The way back from a restriction of one's own on a scan; None where there is none.

    Args:
        desk: What every handler works with.
        actor: The person.
        study_id: The scan.
    """
    own = Target("subject", actor.subject_id, actor.tenant, actor.subject_id)
    if actor.subject_id is None or not await desk.rooms.policy.may(actor, "restrict", own, "rights"):
        return None
    permit = await desk.permit(actor, "restrict", own, "rights")
    for each in await desk.rooms.choices.restrictions_of(permit, actor.subject_id):
        if each.study_id in (None, study_id):
            return Press("allow", str(each.id), "Allow use again")
    return None


def _holder(permit: Permit) -> UUID:
    assert permit.target.subject_id is not None
    return permit.target.subject_id


def _chosen(about: str) -> UUID:
    return forms.as_uuid(about, _not_here())


def _not_here() -> Unprocessable:
    return Unprocessable("This cannot be chosen here", hint="Go back and choose again.")
