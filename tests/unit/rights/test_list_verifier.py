"""The program of one file that checks a person's list, run as a person would: alone, over files of the real ledger."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.unit.ledger.conftest import Deployment, Scope, deployment  # noqa: F401 - a fixture
from troth.ledger import merkle
from troth.rights import ledger_json, list_verifier
from troth.rights.list_verifier import Checkpoint, L, goes_on, is_signed
from troth.rights.looked import access_list

ALEX, SAM, MERGED = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)
NAME = "Dr \u00c4nne Sm\u00eeth"

# RFC 8032 7.1: public key, message, signature of TEST 1, 2 and 3.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_signatures_of_the_standard_hold_and_altered_ones_do_not(key: str, message: str, signature: str) -> None:
    public, said, signed = bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature)
    assert is_signed(public, said, signed)
    assert not is_signed(public, said + b"!", signed)
    for place in (0, 31, 32, 63):
        wrong = bytearray(signed)
        wrong[place] ^= 1
        assert not is_signed(public, said, bytes(wrong))
    beyond = int.from_bytes(signed[32:], "little") + L
    assert not is_signed(public, said, signed[:32] + beyond.to_bytes(32, "little")), "S is not below L"
    assert not is_signed(public, said, signed + b"\0")
    assert not is_signed(public[:31], said, signed)
    assert not is_signed(bytes.fromhex("ed" + "ff" * 30 + "7f"), said, signed), "y is not below p"
    assert not is_signed((2).to_bytes(32, "little"), said, signed), "no point of the curve has this y"


def test_a_key_of_small_order_signs_nothing() -> None:
    neutral = (1).to_bytes(32, "little")
    assert not is_signed(neutral, b"anything", neutral + bytes(32))
    assert not is_signed(bytes([1, *[0] * 30, 0x80]), b"anything", neutral + bytes(32)), "x is 0, and its sign is set"


def test_a_larger_ledger_goes_on_from_a_smaller_one_or_not() -> None:
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(13)]

    def subtree(start: int, end: int) -> bytes:
        return merkle.root_of(leaves[start:end])

    for second in range(1, 14):
        new = Checkpoint("log", second, subtree(0, second))
        for first in range(1, second + 1):
            old = Checkpoint("log", first, subtree(0, first))
            path = merkle.consistency_proof(first, second, subtree)
            assert goes_on(old, new, path)
            assert not goes_on(old._replace(root=bytes(32)), new, path)
            assert not goes_on(old, new._replace(root=bytes(32)), path)
            assert not goes_on(old, new, [*path, bytes(32)])


@dataclass
class Made:
    """A file of the ledger, and the program as it goes into a copy."""

    folder: Path
    content: dict[str, Any]
    first: str

    def check(self, content: dict[str, Any] | str, *more: str) -> tuple[int, str]:
        path = self.folder / "LEDGER.JSON"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        program = self.folder / ledger_json.VERIFIER_NAME
        done = subprocess.run(
            [sys.executable, "-I", "-S", program, path, *more], capture_output=True, text=True, check=False
        )
        assert not done.stderr
        return done.returncode, done.stdout

    def kept(self, text: str) -> str:
        path = self.folder / "kept"
        path.write_text(text)
        return str(path)


async def file_of(deployment: Deployment, *kin: UUID) -> str:  # noqa: F811
    async with deployment.database.transaction(Scope(deployment.tenant)) as connection:
        return ledger_json.written(await access_list(deployment.ledger, connection, kin)).decode()


@pytest.fixture
async def made(deployment: Deployment, tmp_path: Path) -> Made:  # noqa: F811
    (tmp_path / ledger_json.VERIFIER_NAME).write_bytes(ledger_json.verifier())

    def entry(who: UUID, number: int, **given: Any) -> Any:
        payload = {"actor": NAME, "study_description": f"CT {number}", "n": number, "organisation": "House"}
        return deployment.entry(**{"subject_id": who, "key": deployment.key, "payload": payload, **given})

    await deployment.append(*(entry(who, number) for number in range(3) for who in (ALEX, SAM)))
    await deployment.append(entry(MERGED, 7))
    await deployment.sequencer.drain()
    first = await file_of(deployment, ALEX, MERGED)
    await deployment.append(
        entry(SAM, 8),
        entry(ALEX, 9, key=None, payload={}),
        entry(ALEX, 10, kind="policy:access:refused", outcome="refused"),
        entry(ALEX, 11),
    )
    await deployment.sequencer.drain()
    return Made(tmp_path, json.loads(await file_of(deployment, ALEX, MERGED)), first)


async def test_a_whole_list_is_right(made: Made) -> None:
    assert [len(one["entries"]) for one in made.content["lists"]] == [6, 1]
    status, said = made.check(made.content)
    assert status == 0, said
    assert "all 7 entries" in said
    assert "Not opened: 1 " in said, "the attempt that was refused"
    assert "compare it with the page /ledger/key" in said
    status, said = made.check(made.content, "--key", made.content["key"] + "\n", "--known", made.kept(made.first))
    assert status == 0, said
    assert "The key was given by you" in said


async def test_what_may_not_be_told_is_not_in_the_file(made: Made) -> None:
    alex = made.content["lists"][0]["entries"]
    names = [{word["name"] for word in one["open"] or () if "hash" in word} for one in alex]
    assert names == [{"n"}, {"n"}, {"n"}, set(), set(), {"n"}]
    refused = alex[4]
    assert refused["leaf"] is None, "its id of the account would lead to the name in another entry"
    assert refused["open"] is None
    assert NAME in json.loads(alex[0]["open"][0]["value"])
    assert str(SAM) not in json.dumps(made.content)


def _other_word(content: dict[str, Any]) -> None:
    for word in content["lists"][0]["entries"][1]["open"]:
        if word["name"] == "actor":
            word["value"] = '"Somebody else"'


def _other_leaf(content: dict[str, Any]) -> None:
    one = content["lists"][0]["entries"][1]
    one["leaf"] = one["leaf"].replace("diagnosis", "marketing")


def _forged(part: str) -> Callable[[dict[str, Any]], None]:
    def forge(content: dict[str, Any]) -> None:
        front, line = content[part].rstrip("\n").rsplit(" ", 1)
        raw = bytearray(base64.b64decode(line))
        raw[40] ^= 1
        content[part] = f"{front} {base64.b64encode(raw).decode()}\n"

    return forge


def _proof_of_another(content: dict[str, Any]) -> None:
    one, other = content["lists"][0]["entries"][:2]
    one["proof"], one["index"] = other["proof"], other["index"]


def _swapped(content: dict[str, Any]) -> None:
    entries = content["lists"][0]["entries"]
    entries[0], entries[1] = entries[1], entries[0]


def _shifted(content: dict[str, Any]) -> None:
    """A salt that ends within the name: the same bytes, other words."""
    word = content["lists"][0]["entries"][0]["open"][0]
    word["salt"], word["name"] = word["salt"] + word["name"][0].encode().hex(), word["name"][1:]


def _hidden(content: dict[str, Any]) -> None:
    """Another entry's hash under the cover of one that is withheld."""
    entries = content["lists"][0]["entries"]
    entries[4] = {**entries[4], "hash": sha256(b"\0" + entries[0]["leaf"].encode()).hexdigest()}


LIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "altered": (_other_leaf, "entry 2 was changed"),
    "said otherwise": (_other_word, "entry 2: the words that are shown are not those that were written"),
    "shifted": (_shifted, "entry 1: the words that are shown"),
    "left out": (lambda file: file["lists"][0]["entries"].pop(1), "entry 2 was left out or moved: entry 3 stands"),
    "moved": (_swapped, "entry 1 was left out or moved: entry 2 stands"),
    "cut off": (lambda file: file["lists"][0]["entries"].pop(), "the end was changed: 6 entries were signed for"),
    "list left out": (lambda file: file["lists"].pop(), "a whole list is missing, of 1 entries"),
    "no list": (lambda file: file["lists"].clear(), "there is no entry in it"),
    "proof of another": (_proof_of_another, "entry 1 was changed, or its proof is another's"),
    "hidden": (_hidden, "entry 6: the one before it is not the one"),
    "forged": (_forged("checkpoint"), "the signature of the checkpoint does not hold"),
    "count forged": (_forged("count"), "the signature of the count does not hold"),
    "count changed": (
        lambda file: file.update(count=file["count"].replace(" 6 ", " 5 ")), "the signature of the count does not hold"
    ),
    "count as checkpoint": (lambda file: file.update(checkpoint=file["count"]), "no checkpoint"),
    "checkpoint as count": (lambda file: file.update(count=file["checkpoint"]), "signed at another time"),
    "somebody else's": (lambda file: file["lists"][0].update(list=str(SAM)), "belongs to somebody else's list"),
    "nothing": (lambda file: file.clear(), "a file cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
async def test_each_lie_is_named(made: Made, lie: str) -> None:
    tell, expected = LIES[lie]
    content = copy.deepcopy(made.content)
    tell(content)
    status, said = made.check(content)
    assert status == 1
    assert expected in said
    assert "NOT as it was signed" in said


async def test_a_file_that_is_none_and_help(made: Made) -> None:
    status, said = made.check("\x1b[2J{")
    assert (status, "\x1b" in said) == (1, False)
    status, said = made.check(made.content, "--help")
    assert status == 0
    assert "Not proved" in said


async def test_what_was_known_before_and_does_not_agree_is_found(
    made: Made,
    deployment: Deployment,  # noqa: F811
) -> None:
    # The newer file as the known one, and the older as the list: entries were taken away.
    status, said = made.check(made.first, "--known", made.kept(json.dumps(made.content)))
    assert status == 1
    assert "entries were taken out of it" in said
    assert "entry 4 of the list that you kept is not here any more" in said
    # A ledger that was written anew under the same key, to the same size.
    size, key = json.loads(made.first)["checkpoint"].split("\n")[1], made.content["key"]
    tables = "ledger_entry, ledger_pending, ledger_leaf, ledger_subject, ledger_tile, ledger_checkpoint"
    await deployment.sequencer.close()
    deployment.tamper(f"truncate {tables}")
    await deployment.append(*(deployment.entry(subject_id=ALEX) for _ in range(int(size))))
    await deployment.sequencer.drain()
    other = await file_of(deployment, ALEX)
    assert made.check(other, "--key", key)[0] == 0
    for kept, expected in (
        (made.first, "entry 1 of the list that you kept is not here any more, or is another one"),
        (json.loads(made.first)["checkpoint"], f"two different ledgers of {size} entries were signed"),
    ):
        status, said = made.check(other, "--known", made.kept(kept))
        assert status == 1
        assert expected in said


async def test_a_path_between_two_checkpoints_is_followed(made: Made, deployment: Deployment) -> None:  # noqa: F811
    known = made.kept(json.loads(made.first)["checkpoint"])
    sizes = [int(text.split("\n")[1]) for text in (json.loads(made.first)["checkpoint"], made.content["checkpoint"])]
    async with deployment.database.transaction(Scope(deployment.tenant)) as connection:
        hashes = await deployment.ledger.prove_consistency(connection, *sizes)
    path = made.folder / "path"
    path.write_text("".join(f"{base64.b64encode(each).decode()}\n" for each in hashes))
    assert made.check(made.content, "--known", known, "--path", str(path))[0] == 0
    path.write_text("".join(f"{base64.b64encode(each).decode()}\n" for each in reversed(hashes)))
    status, said = made.check(made.content, "--known", known, "--path", str(path))
    assert status == 1
    assert "does not go on from the one that you knew" in said


def test_the_program_is_one_file_of_at_most_250_lines() -> None:
    text = Path(list_verifier.__file__).read_text()
    assert len(text.splitlines()) <= 250
    assert "troth" not in [line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith("from ")]
