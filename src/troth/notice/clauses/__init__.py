"""One file per kind of promise. A new kind is a new file here and its name in the list; a test compares the two."""

from __future__ import annotations

from troth.notice.clauses import (
    accept,
    amendment,
    automation,
    basis,
    capacity,
    category,
    consent,
    contact,
    cookie,
    deidentification,
    hold,
    instruction,
    legal_order,
    logging,
    marketing,
    minor,
    never,
    purpose,
    recipient,
    residency,
    retention,
    right,
    safeguard,
    scope,
    sharing,
    source,
    surface,
    transfer,
)
from troth.notice.clauses.base import Clause

_FILES = (
    accept,
    amendment,
    automation,
    basis,
    capacity,
    category,
    consent,
    contact,
    cookie,
    deidentification,
    hold,
    instruction,
    legal_order,
    logging,
    marketing,
    minor,
    never,
    purpose,
    recipient,
    residency,
    retention,
    right,
    safeguard,
    scope,
    sharing,
    source,
    surface,
    transfer,
)


def registry() -> dict[str, type[Clause]]:
    """All kinds of clause, by the word that stands in a notice."""
    found = (
        value
        for file in _FILES
        for value in vars(file).values()
        if isinstance(value, type) and issubclass(value, Clause) and value.__module__ == file.__name__
    )
    return {kind.kind: kind for kind in found}
