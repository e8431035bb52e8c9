"""Which presentation contexts the listener takes."""

from __future__ import annotations

from collections.abc import Iterable

from troth.doors.dimse.pdu import AnsweredContext, ProposedContext

VERIFICATION = "1.2.840.10008.1.1"
_DICOM_ROOT = "1.2.840.10008."
# every class that DICOM registers below this arc is a storage class, so tomorrow's are taken too (PS3.4 B.5)
_STORAGE_ARC = "1.2.840.10008.5.1.4.1.1."
_STORAGE_ELSEWHERE = frozenset({"1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10"})

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_RLE = "1.2.840.10008.1.2.5"
_ENCAPSULATED_ARC = "1.2.840.10008.1.2.4."
# these carry a link to pixels held elsewhere: there is nothing we could keep
_REFERENCED = frozenset(_ENCAPSULATED_ARC + last for last in ("94", "95", "204", "205"))
_LAST_CHOICE = frozenset({EXPLICIT_BIG, DEFLATED})


def is_storage_class(uid: str, *, private_too: bool = False) -> bool:
    """Whether an abstract syntax is one whose instances we keep.

    Args:
        uid: Abstract syntax as proposed.
        private_too: Take classes outside the DICOM root as well.
    """
    if uid.startswith(_STORAGE_ARC) or uid in _STORAGE_ELSEWHERE:
        return True
    return private_too and bool(uid) and not uid.startswith(_DICOM_ROOT)


def is_kept_syntax(uid: str) -> bool:
    """Whether data sets in this transfer syntax can be kept as they come."""
    if uid in (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, _RLE):
        return True
    return uid.startswith(_ENCAPSULATED_ARC) and uid not in _REFERENCED


def answer(contexts: Iterable[ProposedContext], *, private_too: bool = False) -> list[AnsweredContext]:
    """Answer each proposed context.

    The peer's own order of transfer syntaxes decides, so that it sends what it holds; big endian and deflate only
    when nothing else is offered.

    Per: DICOM PS3.8 9.3.3.2.
    """
    return [_answer(context, private_too) for context in contexts]


def _answer(context: ProposedContext, private_too: bool) -> AnsweredContext:
    first = context.syntaxes[0] if context.syntaxes else IMPLICIT_LITTLE
    if context.abstract_syntax == VERIFICATION:
        kept = [uid for uid in context.syntaxes if uid in (IMPLICIT_LITTLE, EXPLICIT_LITTLE)]
    elif is_storage_class(context.abstract_syntax, private_too=private_too):
        kept = [uid for uid in context.syntaxes if is_kept_syntax(uid)]
    else:
        return AnsweredContext(context.id, context.abstract_syntax, 3, first)
    if not kept:
        return AnsweredContext(context.id, context.abstract_syntax, 4, first)
    kept.sort(key=lambda uid: uid in _LAST_CHOICE)  # stable: the peer's order otherwise
    return AnsweredContext(context.id, context.abstract_syntax, 0, kept[0])
