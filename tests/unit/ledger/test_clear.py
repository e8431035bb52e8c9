"""What stands in the clear is ids, words of closed lists and clocks; each kind has to say what a look needs."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from troth.ledger import KINDS, NEEDS, Bind, Clear, Entry, EntryRefused, refs
from troth.ledger.clear import DATES, REFS, SAYS

FULL = Clear(
    refs=refs(request=UUID(int=1), hold=None, version=UUID(int=2)),
    says={"right": "access", "state": "given"},
    dates={"due": date(2026, 12, 30), "until": datetime(2026, 12, 1, 12, tzinfo=timezone(timedelta(hours=2)))},
    people=(UUID(int=3),),
    binds=(Bind("legal_hold", str(UUID(int=4)), 2, b"\xab"), Bind("peer", "x", 3, None)),
)


def test_it_is_the_same_after_it_was_json() -> None:
    more = json.loads(json.dumps(FULL.more))
    assert more == {
        "refs": [["request", str(UUID(int=1))], ["version", str(UUID(int=2))]],
        "says": {"right": "access", "state": "given"},
        "dates": {"due": "2026-12-30", "until": "2026-12-01T10:00:00.000000Z"},
        "people": [str(UUID(int=3))],
        "binds": [["legal_hold", str(UUID(int=4)), 2, "ab"], ["peer", "x", 3, None]],
    }
    again = Clear.read(more)
    assert again == FULL
    assert again.more == more
    assert again.ref("version") == UUID(int=2)
    assert again.ref("hold") is None
    assert Clear.read(None) == Clear()
    assert Clear().more == {}


@pytest.mark.asvs("V16.2.5")
@pytest.mark.parametrize(
    "wrong",
    [
        {"refs": (("patient", UUID(int=1)),)},
        {"refs": tuple(("version", UUID(int=number)) for number in range(65))},
        {"says": {"name": "jane"}},
        {"says": {"reason": "Jane Smith"}},
        {"says": {"reason": "jane@example.org"}},
        {"says": {"reason": ""}},
        {"says": {"reason": "x" * 129}},
        {"dates": {"dispose_on": date(2026, 1, 1)}},
        {"dates": {"due": datetime(2026, 1, 1)}},  # noqa: DTZ001 - that is what is wrong with it
        {"binds": (Bind("legal hold", "1", 0, b""),)},
        {"binds": (Bind("legal_hold", "a b", 0, b""),)},
        {"binds": (Bind("legal_hold", "1", -1, b""),)},
    ],
    ids=str,
)
def test_it_refuses_what_could_be_personal(wrong: dict[str, Any]) -> None:
    with pytest.raises(EntryRefused):
        Clear(**wrong)


def test_nothing_of_an_age_has_a_name_here() -> None:
    for names in (REFS, SAYS, DATES):
        assert not {"age", "band", "born", "birth_date", "dispose_on", "diagnosis", "name"} & names


@pytest.mark.parametrize(
    "more", [{"refs": [["request"]]}, {"dates": {"due": "soon"}}, {"binds": 7}, {"people": ["x"]}], ids=str
)
def test_what_was_changed_in_the_table_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(EntryRefused):
        Clear.read(more)


def test_what_kinds_need_is_in_the_vocabularies() -> None:
    assert NEEDS.keys() <= KINDS.keys()
    for needs in NEEDS.values():
        assert REFS.issuperset(needs.refs)
        assert SAYS.issuperset(needs.says)
        assert DATES.issuperset(needs.dates)


@pytest.mark.asvs("V16.2.1")
@pytest.mark.parametrize("left_out", ["refs", "says", "dates"])
def test_an_entry_that_lacks_what_its_kind_needs_is_refused(left_out: str) -> None:
    whole: dict[str, Any] = {
        "refs": refs(request=UUID(int=1)),
        "says": {"right": "access"},
        "dates": dict.fromkeys(("due", "acknowledge_by"), datetime(2026, 12, 30, tzinfo=UTC)),
    }
    opened = {"kind": "rights:request:opened", "tenant": UUID(int=1)}
    Entry(**opened, clear=Clear(**whole))
    with pytest.raises(EntryRefused, match="has to say its"):
        Entry(**opened, clear=Clear(**{name: value for name, value in whole.items() if name != left_out}))
