"""`LEDGER.JSON`: the leaves of a person's own entries with their proofs, and the words behind them, each with its salt.

`list_verifier` checks it with nothing but Python, and goes beside it into the copy as `check_my_list.py`; `CHECK.HTM`
does the same in a browser (`check_my_list.js`, inline; pages of the site have it as a file)::

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
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from troth.ledger import Event, Proof, openings
from troth.rights.looked import AccessList, is_refused, may_be_told

NAME: Final = "LEDGER.JSON"
VERIFIER_NAME: Final = "check_my_list.py"
SCRIPT_NAME: Final = "check_my_list.js"
PAGE_NAME: Final = "CHECK.HTM"

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '{script}'; style-src '{style}'">
<title>Check your list</title>
<style>{css}</style>
</head>
<body>
<h1>Check your list of who looked</h1>
<p>Choose the file {name} of this copy. It is read in this browser and goes nowhere: this page may not use the network.
It shows whether any entry was changed, moved or left out.</p>
<p><label for="list-file">{name}</label><br><input type="file" id="list-file" accept=".json,application/json"></p>
<p><label for="list-key">The ledger's public key, as you got it from the page /ledger/key of the site (you may leave
this empty: then the key that came with the list is taken)</label><br>
<input type="text" id="list-key" autocomplete="off" spellcheck="false"></p>
<div id="verdict" role="status"></div>
<noscript><p><b>This browser runs no scripts, so it cannot check anything.</b> Use {program} instead.</p></noscript>
<p>Not shown by this: that everything that was done was entered. To compare with an earlier copy:
<code>python3 {program} {name} --known OLDER/{name}</code>.</p>
<script>{code}</script>
</body>
</html>
"""
_CSS: Final = """
body { font: 1.0625rem/1.6 Georgia, "Times New Roman", serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 2rem; line-height: 1.2; } input { font: inherit; max-width: 100%; } #list-key { width: 100%; }
#verdict { border-top: 1px solid; border-bottom: 1px solid; margin: 1rem 0; }
"""


def verifier() -> bytes:
    """The program that checks the file; stands alone."""
    return files("troth.rights").joinpath("list_verifier.py").read_bytes()


def script() -> bytes:
    """The same for a browser: a script of one file that finds its fields by their ids."""
    return files("troth.rights").joinpath(SCRIPT_NAME).read_bytes()


def page() -> bytes:
    """The page that checks the file without a server: everything inline, named by its hash, and nothing else runs."""
    code = script().decode()
    hashes = {
        name: "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
        for name, text in (("script", code), ("style", _CSS))
    }
    return _PAGE.format(css=_CSS, code=code, name=NAME, program=VERIFIER_NAME, **hashes).encode()


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
