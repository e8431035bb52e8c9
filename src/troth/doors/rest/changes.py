"""`GET /changes`: the change feed, by offset, with a long poll."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from troth.archive import Changed, Following
from troth.doors.rest.errors import ParameterInvalid
from troth.doors.rest.gate import Gate
from troth.kit import clock

MOST = 500
LONGEST_SECONDS = 60
_LOOK_SECONDS = 5.0  # between looks whether somebody may still wait; what is given is decided when it is given

Kind = Literal[
    "archive:instances:stored",
    "archive:instance:found_broken",
    "archive:instance:found_whole",
    "archive:study:corrected",
    "archive:instance:replaced",
    "archive:instance:mended",
    "people:subjects:merged",
    "people:subjects:unmerged",
    "archive:study:erased",
    "archive:study:restricted",
    "people:restriction:set",
]


class Asked(BaseModel):
    """The query."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(-1, ge=-1, le=2**63 - 1, description="`next` of the answer before; -1 begins with the first.")
    limit: int = Field(100, ge=1, le=MOST, description="Most changes of one answer.")
    wait: int = Field(0, ge=0, le=LONGEST_SECONDS, description="Seconds to wait where nothing has changed yet.")
    kind: list[Kind] = Field([], max_length=16, description="Only these kinds; may be repeated. Left out: all.")


class Change(BaseModel):
    """One change. It says which study, by ids and numbers; nothing personal."""

    offset: int = Field(description="Its place in the ledger. It never changes, and grows from change to change.")
    id: UUID = Field(description="Our id of the event; the same in the ledger and its proofs.")
    kind: Kind
    at: datetime = Field(description="When it happened (RFC 3339). The order is that of `offset`, not of this.")
    study_id: UUID | None = Field(description="Our id of the study. Keep it: after an erasure it is all there is.")
    study_uid: str | None = Field(description="Study Instance UID (0020,000D); null once the study is erased.")
    subject_id: UUID | None = Field(description="Our random id of whose study it is.")
    counts: dict[str, int] = Field(description="Numbers, such as `instances`; `is_restricted` is 1 or 0.")


class Changes(BaseModel):
    """A stretch of the feed."""

    changes: list[Change]
    next: int = Field(description="What to give as `after` next time.")
    is_at_end: bool = Field(description="Nothing further is there yet.")


def router(gate: Gate) -> APIRouter:
    """The routes of the feed.

    Args:
        gate: The gate.
    """
    routes = APIRouter()

    @routes.get(
        "/changes",
        summary="What changed in the archive",
        description="The changes of your organisation in the order of the ledger; none is skipped, none comes twice. "
        "The token's role and purpose decide whether you may.",
        response_model=Changes,
    )
    async def changes(http_request: Request, asked: Annotated[Asked, Query()]) -> Response:
        _once(http_request)
        caller = await gate.caller(http_request)
        following = await gate.following(caller)
        if not asked.wait:
            return _told(await following.page(asked.after, asked.limit, asked.kind))
        with gate.waiting(caller):  # first: who finds no place costs no look
            return _told(await _wait(http_request, gate, following, asked))

    return routes


def _once(http_request: Request) -> None:
    """Refuse a parameter that stands twice and may not: one of the two would be ignored.

    Raises:
        ParameterInvalid: There is one.
    """
    names = [name for name, _ in http_request.query_params.multi_items() if name != "kind"]
    if len(names) != len(set(names)):
        raise ParameterInvalid("A parameter stands twice.")


async def _wait(http_request: Request, gate: Gate, following: Following, asked: Asked) -> Changed:
    """Look, and wait until there is something, the time is over, or whoever waits has gone.

    Raises:
        Unauthenticated: The token has ended meanwhile.
        PermitDenied: The notice does not allow it any more.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + asked.wait
    gone = loop.create_task(_gone(http_request))
    page = Changed((), asked.after, is_at_end=False)
    try:
        with gate.archive.changes.waking(following) as woken:
            while True:
                if woken.is_set():
                    woken.clear()  # before the look: what comes during it is not missed
                    await gate.still(http_request, following, clock.now())
                    page = replace(page, is_at_end=False)
                if not page.is_at_end:
                    page = await following.page(page.offset, asked.limit, asked.kind)
                left = until - loop.time()
                if page.changes or gone.done() or left <= 0:
                    break
                if page.is_at_end:
                    await _first(woken.wait, gone, min(left, _LOOK_SECONDS))
                    await gate.still(http_request, following)
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    return page


async def _first(wait: Callable[[], Awaitable[Any]], gone: asyncio.Task[None], seconds: float) -> None:
    """Wait for whatever comes first."""
    waiting = asyncio.ensure_future(wait())
    try:
        await asyncio.wait({waiting, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _gone(http_request: Request) -> None:
    """Returns when the client is gone."""
    while (await http_request.receive())["type"] != "http.disconnect":
        pass  # a body that nobody asked for


def _told(page: Changed) -> Response:
    told = [
        Change(
            offset=one.offset,
            id=one.id,
            kind=one.kind,  # type: ignore[arg-type]
            at=one.at,
            study_id=one.study_id,
            study_uid=one.study_uid or None,
            subject_id=one.subject_id,
            counts=dict(one.counts),
        )
        for one in page.changes
    ]
    content = Changes(changes=told, next=page.offset, is_at_end=page.is_at_end).model_dump_json()
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})
