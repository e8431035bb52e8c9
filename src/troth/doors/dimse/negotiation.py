"""Which presentation contexts and roles the listener takes."""

from __future__ import annotations

from collections.abc import Iterable

from troth.doors.dimse import offered
from troth.doors.dimse.offered import (
    DEFLATED,
    DEFLATED_FRAMES,
    DICOM_ROOT,
    ENCAPSULATED_ARC,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    REFERENCED,
    RLE,
    STORAGE_ARC,
    STORAGE_ELSEWHERE,
    VERIFICATION,
)
from troth.doors.dimse.pdu import AnsweredContext, ProposedContext, Role

__all__ = ["VERIFICATION", "agree", "answer", "is_kept_syntax", "is_storage_class"]

_KEPT = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, DEFLATED_FRAMES, RLE})
_LAST_CHOICE = frozenset({EXPLICIT_BIG, DEFLATED})


def is_storage_class(uid: str, *, private_too: bool = False) -> bool:
    """Whether an abstract syntax is one whose instances we keep.

    Args:
        uid: Abstract syntax as proposed.
        private_too: Take classes outside the DICOM root as well.
    """
    if uid.startswith(STORAGE_ARC) or uid in STORAGE_ELSEWHERE:
        return True
    return private_too and bool(uid) and not uid.startswith(DICOM_ROOT)


def is_kept_syntax(uid: str) -> bool:
    """Whether data sets in this transfer syntax can be kept as they come."""
    return uid in _KEPT or (uid.startswith(ENCAPSULATED_ARC) and uid not in REFERENCED)


def answer(contexts: Iterable[ProposedContext], *, private_too: bool = False) -> list[AnsweredContext]:
    """Answer each proposed context.

    The peer's own order of transfer syntaxes decides, so that it sends what it holds; big endian and deflate only
    when nothing else is offered.

    Per: DICOM PS3.8 9.3.3.2.
    """
    return [_answer(context, private_too) for context in contexts]


def agree(roles: Iterable[Role], answers: Iterable[AnsweredContext]) -> list[Role]:
    """Answer the roles that a peer wants to have.

    For storage classes it may be what it asks for: it sends to us as SCU, and takes from us in a C-GET as SCP. Of the
    other classes we are the provider alone.

    Per: DICOM PS3.7 D.3.3.4, PS3.4 C.5.3.
    """
    taken = {answer.abstract_syntax for answer in answers if answer.is_accepted}
    return [
        Role(role.sop_class, role.is_scu, role.is_scp and role.sop_class not in offered.OFFERS)
        for role in roles
        if role.sop_class in taken
    ]


def _answer(context: ProposedContext, private_too: bool) -> AnsweredContext:
    first = context.syntaxes[0] if context.syntaxes else IMPLICIT_LITTLE
    if context.abstract_syntax in offered.OFFERS:
        kept = [uid for uid in context.syntaxes if uid in offered.PLAIN_SYNTAXES]
    elif is_storage_class(context.abstract_syntax, private_too=private_too):
        kept = [uid for uid in context.syntaxes if is_kept_syntax(uid)]
    else:
        return AnsweredContext(context.id, context.abstract_syntax, 3, first)
    if not kept:
        return AnsweredContext(context.id, context.abstract_syntax, 4, first)
    kept.sort(key=lambda uid: uid in _LAST_CHOICE)  # stable: the peer's order otherwise
    return AnsweredContext(context.id, context.abstract_syntax, 0, kept[0])
