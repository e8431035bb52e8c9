from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.archive import SearchValueInvalid, tokens
from troth.archive.matching import compiled, date_range, is_near, matcher

NAME, PATIENT_ID, DESCRIPTION, DATE, TIME = 0x00100010, 0x00100020, 0x00081030, 0x00080020, 0x00080030
UID, NUMBER, MODALITY = 0x0020000D, 0x00200011, 0x00080060


@pytest.mark.parametrize(
    ("tag", "key", "stored", "expected"),
    [
        (NAME, "miller^james", "Miller^James", True),
        (NAME, "MILLER", "Miller^James", False),
        (NAME, "mil*", "Miller^James^^^", True),
        (NAME, "MULLER*", "Müller^J", True),
        (NAME, "*jam?s", "Miller^James", True),
        (NAME, "山田*", "Yamada^Tarou=山田^太郎", True),
        (NAME, "yam*=山田*", "Yamada^Tarou=山田^太郎", True),
        (NAME, "yam*=佐藤*", "Yamada^Tarou=山田^太郎", False),
        (PATIENT_ID, "p-1", "P-1", False),
        (PATIENT_ID, "P-?", "P-1", True),
        (PATIENT_ID, "P.1", "P-1", False),
        (DESCRIPTION, "*Knee*", "MR Knee left", True),
        (DESCRIPTION, "*", "", True),
        (DESCRIPTION, "", "x", True),
        (DATE, "20240101-20241231", "20240506", True),
        (DATE, "-20231231", "20240506", False),
        (DATE, "20240506-", "2024.05.06", True),
        (DATE, "20240506", "", False),
        (TIME, "10-11", "101500", True),
        (TIME, "1015", "101559.5", True),
        (TIME, "1016-", "101500", False),
        (TIME, "101500-101600", "101530.123456789", True),
        (TIME, "-101530.1234", "101530.123456789", False),
        (UID, "1.2,1.3", "1.3", True),
        (UID, "1.2\\1.3", "1.33", False),
        (NUMBER, "07", "7 ", True),
        (NUMBER, "7", "8", False),
        (MODALITY, "CT", "CT\\MR", True),
        (MODALITY, "C", "CT", False),
    ],
)
def test_rules_of_c_find(tag: int, key: str, stored: str, expected: bool) -> None:
    assert matcher(tag, key)(stored) is expected


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        (DATE, "2024"),
        (DATE, "-"),
        (DATE, "20241301"),
        (TIME, "noon"),
        (UID, "1.2.x"),
        (NUMBER, "one"),
        (NAME, "x" * 2000),
    ],
)
def test_values_that_cannot_be_understood(tag: int, key: str) -> None:
    with pytest.raises(SearchValueInvalid):
        matcher(tag, key)


@pytest.mark.asvs("V1.2.9")
def test_a_hostile_pattern_costs_little() -> None:
    pattern = compiled(DESCRIPTION, "*a" * 16)
    assert not pattern.fullmatch("a" * 15 + "b" * 20_000)
    with pytest.raises(SearchValueInvalid):
        compiled(DESCRIPTION, "*a" * 17)


def test_one_day_is_a_range() -> None:
    first, last = date_range(DATE, "20240506")
    assert first == last


@given(st.text("abcd", max_size=6), st.text("abcd", max_size=6))
def test_words_that_differ_by_one_letter(first: str, second: str) -> None:
    def one_off(word: str) -> set[str]:
        found = {word}
        for at in range(len(word) + 1):
            found |= {word[:at] + sign + word[at:] for sign in "abcd"}
            if at < len(word):
                found |= {word[:at] + word[at + 1 :]} | {word[:at] + sign + word[at + 1 :] for sign in "abcd"}
            if at + 1 < len(word):
                found.add(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
        return found

    assert is_near(first, second) == (second in one_off(first))
    if len(first) > 2 and len(second) > 2 and is_near(first, second):
        assert tokens.near_terms("name", first) & tokens.near_terms("name", second)
