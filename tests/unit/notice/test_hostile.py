"""What somebody could hand us as a notice to hurt us: refused soon, in little memory, and with its place."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.unit.notice.kinds import HEAD, content, find
from troth import notice as room
from troth.notice import reading
from troth.notice.vocabulary import COUNTRIES

SECONDS = 8.0
"""Four times what is promised: the machine of the tests does other work, and the tracer costs as well."""
LIMIT_BYTES = 256 * 1024 * 1024

HEAD_TEXT = json.dumps(HEAD)[1:-1]
CLAUSE = '{"id":"1.1","kind":"hold","says":"x"}'


def recipients(count: int) -> str:
    """Recipients that pass data on in a circle."""
    plain = content()
    for number in range(count):
        again = {**find(plain, "recipient", 2), "id": f"1.{100 + number}", "key": f"r{number}"}
        again["passes_to"] = [f"r{(number + 1) % count}"]
        plain["sections"][0]["clauses"].append(again)
    return json.dumps(plain)


def ways() -> str:
    """Transfers from everywhere to everywhere."""
    plain = content()
    for number in range(20):
        places = sorted(COUNTRIES)
        again = {**find(plain, "transfer"), "id": f"1.{100 + number}", "key": f"t{number}"}
        again |= {"origins": places[:120], "destinations": places[120:]}
        plain["sections"][0]["clauses"].append(again)
    return json.dumps(plain)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MANY = f'{{{HEAD_TEXT}, "sections": [{{"number": 1, "title": "x", "clauses": [{",".join([CLAUSE] * 100_000)}]}}]}}'
FULL = f'{{{HEAD_TEXT}, "sections": [{{"number": 1, "title": "x", "clauses": [{",".join([CLAUSE] * 2_500)}]}}]}}'

HOSTILE = {
    "a hundred thousand clauses": (MANY, "the file is too large"),
    "as many clauses as fit": (FULL, "entries"),
    "a bomb of aliases": (BOMB, "an anchor"),
    "a circle of many recipients": (recipients(150), "passes data on to itself"),
    "ways from everywhere to everywhere": (ways(), "the notice comes to more than 1,000 policies"),
    "deep": ("[" * (reading.LIMIT_BYTES - 1), "nested too deep"),
    "wide": ("[" + "1," * (reading.LIMIT_BYTES // 2 - 2) + "]", "too many entries"),
    "keys without end": ("{" + ",".join(f"k{number}: 1" for number in range(20_000)) + "}", "too many entries"),
    "one long text": (json.dumps({**HEAD, "sections": [], "notice": "a" * 250_000}), "cannot be read"),
    "escapes": ('a: "' + "\\x41" * (reading.LIMIT_BYTES // 4 - 10) + '"', "unknown key"),
    "many lines": ("a:\n" + "  - b\n" * 40_000, "too many entries"),
    "folded": ("a: >\n" + "  x\n\n" * 40_000, "unknown key"),
    "comments": ("# x\n" * 60_000 + "a: 1", "unknown key"),
    "open quote": ('a: "' + "x\n" * 100_000, "not YAML"),
    "question marks": ("? " * 100_000, "a key that is no text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_soon_and_in_little_memory(name: str, tmp_path: Path) -> None:
    source, what = HOSTILE[name]
    file = tmp_path / "notice.yaml"
    file.write_text(source)
    began = time.process_time()
    problems = room.check(file)
    used_seconds = time.process_time() - began
    tracemalloc.start()
    try:
        assert room.check(file) == problems
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert any(what in problem.what and problem.line >= 1 for problem in problems), problems[:3]
    assert used_seconds <= SECONDS
    assert most_bytes <= LIMIT_BYTES


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("period: P8Y", "period: P1X", "cannot be read: 'P1X' in period"),
        ("period: P8Y", "period: -P8Y", "cannot be read: '-P8Y' in period"),
        ("effective_on: 2026-11-01", "effective_on: 2026-13-01", "cannot be read: '2026-13-01'"),
        ("regions: [GB]", "regions: [XQ]", "unknown value 'XQ' in regions"),
        ("    title: Who we are", "    title: <b>Who</b>", "cannot be read: '<b>Who</b>' in title"),
        ("language: en-GB", "language: en-GB\ncolour: red", "unknown key 'colour'"),
    ],
)
def test_one_wrong_word_is_told_with_its_line(old: str, new: str, what: str, shipped: room.Notice) -> None:
    source = shipped.source.replace(old, new, 1)
    line = next(
        at
        for at, pair in enumerate(zip(source.splitlines(), [*shipped.source.splitlines(), ""], strict=False), 1)
        if pair[0] != pair[1]
    )
    with pytest.raises(room.NoticeMalformed) as caught:
        room.parse(source)
    found = [problem for problem in caught.value.problems if what in problem.what]
    assert found, caught.value.problems
    assert found[0].line in (line, line + new.count("\n"))
    assert found[0].hint
