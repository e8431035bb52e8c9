"""STOW-RS: instances come in, each is answered for itself.

Per: DICOM PS3.18 10.5, Annex I.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from troth.archive import Archive, Outcome, Received, Receiver, StudyMismatch
from troth.dicom import Truncated
from troth.doors import media_types, multipart
from troth.doors.dicomweb.accept import DICOM, JSON, PLAIN_JSON, XML, chosen, wanted
from troth.doors.dicomweb.answers import base_url, bytes_answer, json_answer
from troth.doors.dicomweb.errors import MediaTypeUnknown, PartTooLarge
from troth.doors.dicomweb.gate import Gate, Standing, checked
from troth.doors.dicomweb.native_xml import to_xml
from troth.doors.dicomweb.stow_metadata import TYPES, Assembly, Refused
from troth.doors.errors import MultipartBroken, UidsDiffer
from troth.doors.multipart import PartBegins, PartEnds, PartReader
from troth.doors.taking import COERCED, KEPT_APART
from troth.kit.errors import Kinds, TrothError

_BATCH = 25
_PARTS_AT_ONCE = 100
_TAKEN = frozenset({"", DICOM, "application/octet-stream"})

Event = multipart.Event


@dataclass(slots=True)
class Tally:
    """What became of the parts of one message.

    Attributes:
        outcomes: Of parts that were instances.
        others: Faults of parts that could not even be read (OtherFailuresSequence).
    """

    outcomes: list[Outcome] = field(default_factory=list)
    others: list[TrothError] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        """Instances that were refused."""
        return [outcome for outcome in self.outcomes if outcome.state == "refused"]

    def warned(self, base: str) -> dict[str, str]:
        """The header that says in words why some failed, and what of them is kept apart; FailureReason has no place.

        Args:
            base: URL under which `/studies` lies.

        Per: RFC 7234 5.5, PS3.18 8.4.3 (Warning).
        """
        said = Counter(one.error.title for one in self.failed if one.error is not None and not one.is_kept)
        said.update(fault.title for fault in self.others)
        said[KEPT_APART] = sum(outcome.is_kept for outcome in self.outcomes)
        told = ", ".join(f'299 {base}: "{count} of the failed: {why}"' for why, count in (+said).items())
        return {"Warning": told} if told else {}

    @property
    def status(self) -> int:
        """200 all, 202 some, or with a warning, 409 none. Per: PS3.18 table 10.5.3-1."""
        failures = len(self.failed) + len(self.others)
        if failures and failures == len(self.outcomes) + len(self.others):
            return 409
        return 202 if failures or any(outcome.is_coerced for outcome in self.outcomes) else 200

    def to_json(self, base: str) -> dict[str, Any]:
        """The Store Instances Response. Per: PS3.18 I.1.

        Args:
            base: URL under which `/studies` lies.
        """
        answer: dict[str, Any] = {}
        studies = {outcome.study_uid for outcome in self.outcomes if outcome.state != "refused"}
        if len(studies) == 1:
            answer["00081190"] = {"vr": "UR", "Value": [f"{base}/studies/{studies.pop()}"]}
        failed = [_reference(outcome) | _reason(outcome.reason) for outcome in self.failed]
        held = [
            _reference(outcome) | {"00081190": {"vr": "UR", "Value": [_url(base, outcome)]}} | _warning(outcome)
            for outcome in self.outcomes
            if outcome.state != "refused"
        ]
        for key, items in (
            ("00081198", failed),
            ("00081199", held),
            ("0008119A", [_reason(fault.dimse_status) for fault in self.others]),
        ):
            if items:
                answer[key] = {"vr": "SQ", "Value": items}
        return answer


class Intake:
    """Takes the parts of one message; stores them in batches while the next ones arrive.

    Args:
        archive: Where they go.
        standing: Whose permit it is.
        study_uid: The study they must belong to, if the address names one.
        instance_bytes: Most bytes of one instance.
    """

    def __init__(self, archive: Archive, standing: Standing, study_uid: str | None, instance_bytes: int) -> None:
        self._archive = archive
        self._standing = standing
        self._study_uid = study_uid
        self._instance_bytes = instance_bytes
        self._receiver: Receiver | None = None
        self._is_refused = False
        self._seen = 0
        self._pending: list[Received] = []
        self._storing: asyncio.Task[list[Outcome]] | None = None
        self._untold: list[TrothError] = []
        self._kinds = Kinds()
        self.tally = Tally()

    async def take(self, event: Event) -> None:
        """Take the next event of the message. A bad part is answered for and passed over; the others go on."""
        if isinstance(event, PartBegins):
            self._is_refused, self._seen = False, 0
            if event.media_type in _TAKEN:
                self._receiver = self._archive.receiver(None)
            else:
                self._refuse(MediaTypeUnknown())
        elif isinstance(event, PartEnds):
            self._end_part()
            if len(self._pending) >= _BATCH:
                await self._store()
        elif not self._is_refused:
            self._guarded(lambda: self._feed(event))

    async def finish(self) -> None:
        """The message has ended: store what is left. A part that is still open was cut short."""
        if self._receiver is not None and not self._is_refused:
            self._refuse(Truncated())
        await self._store()
        await self._settle()
        await self._tell()

    async def abandon(self, fault: TrothError | None = None) -> None:
        """The client went away, or the message broke: what came whole is still stored.

        Args:
            fault: What is wrong with the message as a whole.
        """
        if fault is not None:
            self._untold.append(fault)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.abort()
        await self._store()
        await self._settle()
        await self._tell()

    def _feed(self, content: memoryview) -> None:
        self._seen += len(content)
        if self._seen > self._instance_bytes:
            raise PartTooLarge
        if self._receiver is not None:
            self._receiver.feed(content)

    def _end_part(self) -> None:
        if not self._is_refused:
            self._guarded(self._finish_part)
        self._receiver = None

    def _finish_part(self) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        received = receiver.finish()
        header = received.header
        if self._study_uid is not None and header.study_uid != self._study_uid:
            raise StudyMismatch
        # As C-STORE, whose command says what the meta group of a file does.
        if any(said not in ("", is_so) for said, is_so in zip(receiver.announced, receiver.named, strict=False)):
            raise UidsDiffer
        self._pending.append(received)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except TrothError as fault:
            self._refuse(fault)

    def _refuse(self, fault: TrothError) -> None:
        self._is_refused = True
        receiver, self._receiver = self._receiver, None
        fault = self._kinds.one(fault)
        self._untold.append(fault)
        sop_class, instance_uid, study_uid, series_uid = receiver.named if receiver is not None else ("", "", "", "")
        if receiver is not None:
            receiver.abort()
        if sop_class and instance_uid:
            outcome = Outcome(
                instance_uid=instance_uid,
                sop_class=sop_class,
                study_uid=study_uid,
                series_uid=series_uid,
                state="refused",
                reason=fault.dimse_status,
                error=fault,
            )
            self.tally.outcomes.append(outcome)
        else:
            self.tally.others.append(fault)

    def note_refused(self, refused: Sequence[Refused]) -> None:
        """Answer for what never became an instance.

        Args:
            refused: Outcomes of instances whose names are known, faults of the others.
        """
        for one in refused:
            if isinstance(one, Outcome):
                self.tally.outcomes.append(one)
                self._untold.append(one.error or MediaTypeUnknown())
            else:
                self.tally.others.append(one)
                self._untold.append(one)

    async def _tell(self) -> None:
        """Write down what the archive never saw, because it could not even be read."""
        untold, self._untold = self._untold, []
        if untold:
            await self._archive.record_refused(await self._standing.permit(), untold)

    async def _store(self) -> None:
        """Store what is pending; the batch before is awaited first, so that at most two are in flight."""
        await self._settle()
        if self._pending:
            batch, self._pending = self._pending, []
            permit = await self._standing.permit()
            self._storing = asyncio.create_task(self._archive.store(permit, batch))

    async def _settle(self) -> None:
        storing, self._storing = self._storing, None
        if storing is not None:
            self.tally.outcomes += await storing


def store(gate: Gate, instance_bytes: int) -> Callable[[Request], Any]:
    """The handler of `POST /studies` and `POST /studies/{study}`."""

    async def handle(http_request: Request) -> Response:
        caller = await gate.caller(http_request)
        permit = await gate.permit_to_store(caller)
        study_uid = http_request.path_params.get("study")
        if study_uid is not None:
            checked(study_uid)
        media_type = chosen(wanted(http_request), (JSON, PLAIN_JSON, XML))
        intake = Intake(gate.archive, Standing(gate, caller, permit), study_uid, instance_bytes)
        tenant = caller.actor.tenant
        async with gate.uploads.turn(tenant):
            with gate.waiting_bytes.share(tenant) as share:
                assembly = Assembly(partial(gate.archive.metadata.drafts, tenant), share)
                await _taken(intake, assembly, _events(http_request, assembly))
        tally = intake.tally
        if not tally.outcomes and not tally.others:
            raise MultipartBroken("There is no part in the message.")
        base = base_url(http_request)
        told, warned = tally.to_json(base), tally.warned(base)
        if media_type == XML:
            return bytes_answer(to_xml(told), XML, status=tally.status, headers=warned)
        return json_answer(told, media_type, status=tally.status, headers=warned)

    return handle


async def _taken(intake: Intake, assembly: Assembly, events: AsyncIterator[Event]) -> None:
    """Take a message to its end; of one that breaks off, what came whole is stored all the same.

    Raises:
        MultipartBroken: It is no message of parts.
        ClientDisconnect: The client went away before anything came whole.
    """
    try:
        async for event in events:
            await intake.take(event)
        intake.note_refused(assembly.refused)
        await intake.finish()
    except (MultipartBroken, ClientDisconnect) as fault:
        intake.note_refused(assembly.refused)
        await intake.abandon(fault if isinstance(fault, MultipartBroken) else None)
        if not intake.tally.outcomes:
            raise
        intake.tally.others.append(Truncated())
    except BaseException:
        await intake.abandon()
        raise


def _events(http_request: Request, assembly: Assembly) -> AsyncIterator[Event]:
    """Events of a message: instances as parts, metadata with values as parts, or a single instance as its body.

    Raises:
        MediaTypeUnknown: It is of a type that is not taken.
        MultipartBroken: It has no boundary.
    """
    content_type = http_request.headers.get("content-type", "")
    told = media_types.read(content_type)
    if told.name == DICOM:
        return _single(http_request)
    kind = told.parameters.get("type", DICOM).lower()
    if told.name != "multipart/related" or kind not in (DICOM, *TYPES):
        raise MediaTypeUnknown(hint='Send multipart/related; type="application/dicom".')
    parts = _parts(http_request, multipart.boundary_of(told))
    return parts if kind == DICOM else assembly.events(parts)


async def _single(http_request: Request) -> AsyncIterator[Event]:
    yield PartBegins(DICOM)
    async for chunk in http_request.stream():
        if chunk:
            yield memoryview(chunk)
    yield PartEnds()


async def _parts(http_request: Request, boundary: str) -> AsyncIterator[Event]:
    reader, ended = PartReader(boundary), 0
    async for chunk in http_request.stream():
        for event in reader.feed(chunk):
            yield event
            ended += isinstance(event, PartEnds)
            if ended >= _PARTS_AT_ONCE:
                ended = 0
                await asyncio.sleep(0)  # others wait no longer for thousands of small parts than for a few


def _reference(outcome: Outcome) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [outcome.sop_class]},
        "00081155": {"vr": "UI", "Value": [outcome.instance_uid]},
    }


def _warning(outcome: Outcome) -> dict[str, Any]:
    return {"00081196": {"vr": "US", "Value": [COERCED]}} if outcome.is_coerced else {}


def _reason(reason: int) -> dict[str, Any]:
    return {"00081197": {"vr": "US", "Value": [reason]}}


def _url(base: str, outcome: Outcome) -> str:
    return f"{base}/studies/{outcome.study_uid}/series/{outcome.series_uid}/instances/{outcome.instance_uid}"
