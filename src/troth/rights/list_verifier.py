"""Check the list of who looked at you (LEDGER.JSON of your copy), without the help of those who made it.

Needs Python 3.9 or newer and nothing else; never uses the network. To use it, in the folder of your copy:

    python3 check_my_list.py LEDGER.JSON
    python3 check_my_list.py LEDGER.JSON --known OLDER/LEDGER.JSON    (is what an earlier copy held still there?)

Proved: every entry is in the ledger whose size and root were signed, as it is here; each names the entry before it, so
none was changed, moved, or left out between the first and the last; there are as many as were signed for; the words
that are shown are those that were written. Not proved: that everything that was done was entered, that no entry came
after the last one here, and that others were shown the same ledger. Exit code: 0 nothing found, 1 something is wrong.

Per: RFC 8032 5.1.7 (Ed25519), RFC 9162 2.1.3 and 2.1.4 (the tree of RFC 6962), C2SP signed-note and tlog-checkpoint.
"""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, NamedTuple

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]  # X, Y, Z, T of RFC 8032 5.1.4


class Wrong(Exception):
    """What is not as it was signed, in words for people."""


def _point(octets: bytes) -> Point:
    """Decode a point (RFC 8032 5.1.3)."""
    odd, y = divmod(int.from_bytes(octets, "little"), 1 << 255)
    u, v = y * y - 1, D * y * y + 1
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if len(octets) != 32 or y >= P or (v * x * x - u) % P or (odd and not x):
        raise Wrong("it holds no point of the curve")
    x = P - x if x & 1 != odd else x
    return x, y, 1, x * y % P


def _add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(factor: int, point: Point) -> Point:
    result = ZERO
    while factor:
        result = _add(result, point) if factor & 1 else result
        point, factor = _add(point, point), factor >> 1
    return result


ZERO: Point = (0, 1, 1, 0)
BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature holds (RFC 8032 5.1.7); points of small order are no keys."""
    scalar = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or scalar >= L:
        return False
    try:
        public, commitment = _point(key), _point(signature[:32])
    except Wrong:
        return False
    challenge = int.from_bytes(sha512(signature[:32] + key + message).digest(), "little") % L
    p, q = _times(scalar, BASE), _add(commitment, _times(challenge, public))
    return _times(8, public)[0] != 0 and (p[0] * q[2] - q[0] * p[2]) % P == 0 == (p[1] * q[2] - q[1] * p[2]) % P


def open_note(note: str, public: bytes, what: str) -> list[str]:
    """Lines of a signed note whose signature by a key holds; the key is called what the first line begins with."""
    text, gap, signatures = note.rpartition("\n\n")
    name = text.split("\n")[0].partition(" ")[0]
    identifier = sha256(name.encode() + b"\n\x01" + public).digest()[:4]
    for line in signatures.split("\n"):
        if gap and line.startswith(f"\u2014 {name} "):
            raw = b64decode(line.rpartition(" ")[2])
            if raw[:4] == identifier and is_signed(public, f"{text}\n".encode(), raw[4:]):
                return text.split("\n")
    raise Wrong(f"the signature of {what} does not hold: it is forged, of another key, or of other words")


class Checkpoint(NamedTuple):
    """What the ledger signed of itself: its name, how many entries it had, and the root over them."""

    origin: str
    size: int
    root: bytes


def open_checkpoint(note: str, public: bytes) -> Checkpoint:
    """A checkpoint whose signature holds."""
    origin, size, root = open_note(note, public, "the checkpoint")[:3]
    if " " in origin or not size.isdecimal():
        raise Wrong("what was signed is no checkpoint")
    return Checkpoint(origin, int(size), b64decode(root))


def hash_of(entry: dict[str, Any]) -> bytes:
    """Hash of an entry (RFC 6962 2.1); of one that is withheld, what stands for it."""
    return bytes.fromhex(entry["hash"]) if entry["leaf"] is None else sha256(b"\x00" + entry["leaf"].encode()).digest()


def _climb(place: int, last: int, older: bytes, newer: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Follow a path up the tree: the roots of the part to the left, and of all; None where it is too short or long."""
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            older, newer = (sha256(b"\x01" + sibling + each).digest() for each in (older, newer))
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            newer = sha256(b"\x01" + newer + sibling).digest()
        place, last = place >> 1, last >> 1
    return None if last else (older, newer)


def goes_on(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> bool:
    """Whether the larger ledger begins with the smaller one (RFC 9162 2.1.4.2)."""
    if not 0 < old.size < new.size:
        return old.size == new.size and old.root == new.root and not path
    first, *rest = path if old.size & (old.size - 1) else [old.root, *path]
    full = (old.size & -old.size).bit_length() - 1  # levels on which the older one ends with a whole subtree
    return _climb(old.size - 1 >> full, new.size - 1 >> full, first, first, rest) == (old.root, new.root)


def are_as_written(leaf: dict[str, Any], said: list[dict[str, str]]) -> bool:
    """Whether the words of an entry that are shown are found in what the entry committed to."""
    hashes: list[bytes] = []
    for one in said:
        salt, is_shown = bytes.fromhex(one.get("salt", "")), "hash" not in one
        shown = sha256(salt + f"{one['name']}={one.get('value')}".encode())
        hashes.append(shown.digest() if is_shown else bytes.fromhex(one["hash"]))
        if "=" in one["name"] or len(salt) != 16 * is_shown or len(hashes[-1]) != 32:
            return False
    is_without = not said and leaf["payload_sha256"] is None
    return is_without or sha256(b"".join(sorted(hashes))).hexdigest() == leaf.get("payload_commit")


def check_lists(content: dict[str, Any], public: bytes) -> Iterator[str]:
    """What is wrong with the lists of a file: nothing where they are whole."""
    signed = open_checkpoint(content["checkpoint"], public)
    origin, size, *counts = open_note(content["count"], public, "the count")
    if [origin, size] != [f"{signed.origin} list", str(signed.size)]:
        yield "the count was signed at another time than the checkpoint"
    left = {who: rest for who, _, rest in (line.partition(" ") for line in counts)}
    for one in content["lists"]:
        yield from _check_entries(one, signed)
        last = hash_of(one["entries"][-1]).hex() if one["entries"] else ""
        if (said := left.pop(one["list"], "no")) != f"{len(one['entries'])} {last}":
            yield f"not all is here, or the end was changed: {said.partition(' ')[0]} entries were signed for"
    yield from (f"a whole list is missing, of {said.partition(' ')[0]} entries: {who}" for who, said in left.items())


def _check_entries(one: dict[str, Any], signed: Checkpoint) -> Iterator[str]:
    before, expected = None, 1
    for entry in one["entries"]:
        index, hashed, number = entry["index"], hash_of(entry), expected
        if entry["leaf"] is not None:
            leaf = json.loads(entry["leaf"])
            number = leaf["subject_seq"]
            if number != expected:
                yield f"entry {expected} was left out or moved: entry {number} stands in its place"
            elif leaf["subject_prev"] != before:
                yield f"entry {number}: the one before it is not the one that was there when it was written"
            if leaf["subject_id"] != one["list"] or leaf["index"] != index:
                yield f"entry {number} belongs to somebody else's list, or to another place"
            if entry["open"] is not None and not are_as_written(leaf, entry["open"]):
                yield f"entry {number}: the words that are shown are not those that were written"
        path = [b64decode(each) for each in entry["proof"]]
        roots = _climb(index, signed.size - 1, hashed, hashed, path) if 0 <= index < signed.size else None
        if roots is None or roots[1] != signed.root:
            yield f"entry {number} was changed, or its proof is another's: it does not lead to the signed root"
        expected, before = number + 1, hashed.hex()


def check_known(new: dict[str, Any], old_text: str, public: bytes, path: str | None) -> Iterator[str]:
    """What an earlier copy, or a checkpoint kept by itself, has and this file has not."""
    old: dict[str, Any] = json.loads(old_text) if old_text.startswith("{") else {"checkpoint": old_text, "lists": []}
    signed, known = open_checkpoint(new["checkpoint"], public), open_checkpoint(old["checkpoint"], public)
    if known.size > signed.size:
        yield f"the ledger had {known.size} entries once and has {signed.size} here: entries were taken out of it"
    elif known.size == signed.size and known.root != signed.root:
        yield f"two different ledgers of {known.size} entries were signed"
    elif path is not None and not goes_on(known, signed, [b64decode(each) for each in path.split()]):
        yield "the ledger does not go on from the one that you knew"
    yield from (f"in the list that you kept: {fault}" for fault in (check_lists(old, public) if old["lists"] else ()))
    now = {one["list"]: [hash_of(entry) for entry in one["entries"]] for one in new["lists"]}
    for one in old["lists"]:
        for place, entry in enumerate(one["entries"]):
            if now.get(one["list"], [])[place : place + 1] != [hash_of(entry)]:
                yield f"entry {place + 1} of the list that you kept is not here any more, or is another one"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the files that are named, and say in words what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="LEDGER.JSON", help="the list of your copy")
    parser.add_argument("--key", help="the ledger's public key as you got it elsewhere, such as its page /ledger/key")
    parser.add_argument("--known", metavar="FILE", help="LEDGER.JSON of an earlier copy, or a checkpoint that you kept")
    parser.add_argument("--path", metavar="FILE", help="with --known: what /ledger/consistency?from=SIZE&to=SIZE gave")
    given = parser.parse_args(arguments)
    try:
        content = json.loads(Path(given.file).read_text("utf-8"))
        known, path = (None if each is None else Path(each).read_text("utf-8") for each in (given.known, given.path))
        public = b64decode((given.key or content["key"]).strip().split("+", 2)[2])[1:]
        signed = open_checkpoint(content["checkpoint"], public)
        entries = [entry for one in content["lists"] for entry in one["entries"]]
        found = [*check_lists(content, public)] if entries else ["there is no entry in it"]
        found += check_known(content, known, public, path) if known is not None else ()
        shown = sum(entry["open"] is not None for entry in entries)
        withheld = sum("hash" in word for entry in entries for word in entry["open"] or ())
    except Wrong as fault:
        found = [f"{fault}"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as fault:
        found = [f"a file cannot be read: {type(fault).__name__}: {fault}"]
    if found:
        end = "This is NOT as it was signed. Keep the files, and tell the privacy office or the authority."
        lines = [*(f"WRONG: {each}" for each in found), end]
    else:
        key = "was given by you" if given.key else "came with the list: compare it with the page /ledger/key"
        lines = [
            f"Right: all {len(entries)} entries are as {signed.origin} signed them when it had {signed.size} entries.",
            f"None was changed, moved or left out. The words of {shown} are those that were written.",
            f"Not opened: {len(entries) - shown} (refused to staff, older than such proofs, or the key is destroyed).",
            f"Withheld: {withheld} words that may not be told; they stay bound by a hash.",
            "Not shown: that all that was done was entered, what came later, that others see the same ledger.",
            f"The key {key}.",
        ]
    sys.stdout.write("".join(c if c.isprintable() or c == "\n" else "?" for c in "\n".join([*lines, ""])))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
