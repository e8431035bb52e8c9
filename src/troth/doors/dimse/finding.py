"""C-FIND: a search by the same decisions, the same archive and the same rule as the web's: never wider than asked.

Per: DICOM PS3.4 C.4.1 (C-FIND), C.2.2.2 (matching), C.6.1 and C.6.2 (patient root, study root).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from uuid import UUID

from troth.archive import Found, Level, Match, Query, SearchKeyUnknown, SearchTooBroad, SearchValueInvalid
from troth.doors.dimse import command as dimse
from troth.doors.dimse import identifier as identifiers
from troth.doors.dimse import offered
from troth.doors.dimse.conversation import Asked, Talk
from troth.doors.dimse.errors import KeyNotHonoured
from troth.doors.dimse.identifier import AskedLevel, Identifier
from troth.kit.errors import BadInput
from troth.policy import Permit

_STUDIES_OF_A_PAGE, _BELOW_OF_A_PAGE = 250, 1_000
_TOO_MANY = 0xA700  # out of resources, PS3.4 table C.4-1
_VALUE_INVALID = 0xC002
_LEVELS: Mapping[AskedLevel, Level] = {
    "PATIENT": "study",
    "STUDY": "study",
    "SERIES": "series",
    "IMAGE": "instance",
}


async def find(talk: Talk, asked: Asked) -> None:
    """Answer a C-FIND: a pending response for each match, then how it ended.

    Raises:
        TrothError: It was refused; nothing was told but, perhaps, matches of earlier pages.
    """
    root = offered.OFFERS[asked.context.abstract_syntax].root
    assert root is not None
    permit = await talk.gate.require("query")
    try:
        identifier = identifiers.parse(asked.octets, asked.context.syntax, root)
        identifiers.require_hierarchy(identifier)
        keys = identifiers.matching_keys(identifier)
    except BadInput as fault:
        await talk.rooms.archive.record_search_refused(permit, fault)
        raise
    told = 0
    seen: set[UUID] = set()
    try:
        async for found in _matches(talk, permit, identifier, keys):
            if talk.is_cancelled:
                await talk.respond(asked, dimse.CANCELLED)
                return
            if identifier.level == "PATIENT":
                if found.study.subject_id in seen:
                    continue
                seen.add(found.study.subject_id)
            if told == talk.limits.answers:
                await talk.respond(asked, _TOO_MANY, f"More than {told} matches; narrow the search.")
                return
            encoded, is_whole = identifiers.answer(
                identifier, found.values, talk.agreement.called_ae, asked.context.syntax
            )
            await talk.respond(asked, dimse.PENDING if is_whole else dimse.PENDING_WITHOUT, dataset=encoded)
            told += 1
    except SearchValueInvalid as fault:
        await talk.rooms.archive.record_search_refused(permit, fault)
        await talk.respond(asked, _VALUE_INVALID, fault.detail)
        return
    except SearchTooBroad as fault:
        await talk.rooms.archive.record_search_refused(permit, fault)
        await talk.respond(asked, _TOO_MANY, fault.title)
        return
    except SearchKeyUnknown as fault:
        await talk.rooms.archive.record_search_refused(permit, fault)
        raise KeyNotHonoured(fault.detail) from None
    await talk.respond(asked, dimse.CANCELLED if talk.is_cancelled else dimse.SUCCESS)


async def _matches(talk: Talk, permit: Permit, identifier: Identifier, keys: Mapping[int, str]) -> AsyncIterator[Found]:
    """All matches, page by page; each page is decided on anew and in the ledger before it is told."""
    matches = tuple(Match(tag, value) for tag, value in keys.items())
    level = _LEVELS[identifier.level]
    limit = _STUDIES_OF_A_PAGE if level == "study" else _BELOW_OF_A_PAGE
    query = Query(level, matches, limit=limit)
    while True:
        page = await talk.rooms.archive.query(permit, query)
        for found in page.found:
            yield found
        if not page.is_more or talk.is_cancelled:
            return
        if level == "study":
            query = replace(query, after=page.found[-1].place)
        else:  # all within one study
            query = replace(query, offset=query.offset + limit)
        permit = await talk.gate.require("query")
