"""`LEDGER.JSON`: the leaves of a person's own entries with their proofs, and the words behind them, each with its salt.

`list_verifier` checks it with nothing but Python, and goes beside it into the copy as `check_my_list.py`::

    {"format": "troth ledger list 1", "origin": …, "key": …, "checkpoint": …, "count": …,
     "lists": [{"list": subject id, "entries": [{"leaf": …, "index": …, "proof": […], "open": […] or null}, …]}, …]}

One list for each identifier that was merged into the person, the surviving one first, the oldest entry first. `open` is
null where the words cannot be opened (leaves of version 1, a key that was destroyed); a value that may not be told
(`looked.may_be_told`) has its hash in place of value and salt. Where a colleague's attempt was refused, `leaf` is null
and `hash` stands for it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from troth.ledger import Event, Proof, openings
from troth.rights.looked import AccessList, is_refused, may_be_told

NAME: Final = "LEDGER.JSON"
VERIFIER_NAME: Final = "check_my_list.py"


def verifier() -> bytes:
    """The program that checks the file; stands alone."""
    return files("troth.rights").joinpath("list_verifier.py").read_bytes()


def proved(access: AccessList) -> dict[str, Any]:
    """The whole list with everything that it takes to check it, as JSON.

    Args:
        access: The list; entries that wait for their number are not in it yet, and are not counted.
    """
    lists: dict[UUID | None, list[dict[str, Any]]] = {}
    for part in access.completeness.parts or (access.completeness,):
        lists[part.subject_id] = []
    for event in reversed(access.events):
        if (proof := access.proofs.get(event.id)) is not None:
            lists[event.subject_id].append(_entry(event, proof))
    return {
        "format": "troth ledger list 1",
        "origin": access.log_key.partition("+")[0],
        "key": access.log_key,
        "checkpoint": access.checkpoint,
        "count": access.counted,
        "lists": [{"list": str(subject_id), "entries": found} for subject_id, found in lists.items() if found],
    }


def written(access: AccessList) -> bytes:
    """The file."""
    return json.dumps(proved(access), indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _entry(event: Event, proof: Proof) -> dict[str, Any]:
    # A colleague whose attempt was refused has no name here; the account's id in the leaf would lead to the name in
    # another entry. The hash keeps its place in the tree and in the chain.
    is_told = not (is_refused(event) and event.actor_kind == "user")
    return {
        "leaf": proof.leaf.decode() if is_told else None,
        **({} if is_told else {"hash": proof.leaf_hash.hex()}),
        "index": proof.index,
        "proof": [b64encode(each).decode() for each in proof.path],
        "open": _opened(event) if is_told else None,
    }


def _opened(event: Event) -> list[dict[str, str]] | None:
    """The words of an entry; an empty list where it never had any."""
    if event.payload is None or event.salt is None:
        return None if event.is_shredded or event.is_damaged or event.leaf_version == 1 else []
    told = may_be_told(event)
    return [
        {"name": one.name, "value": one.value, "salt": one.salt.hex()}
        if one.name in told
        else {"name": one.name, "hash": one.hash.hex()}
        for one in openings(event.payload, event.salt)
    ]
