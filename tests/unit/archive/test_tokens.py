from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from troth.archive import tokens
from troth.archive.matching import matcher

NAME, DESCRIPTION = 0x00100010, 0x00081030
letters = some.text("abcdeéÉöÑß ABC'-", max_size=8)
names = some.lists(letters, min_size=1, max_size=4).map("^".join)


def patterns_of(value: str) -> some.SearchStrategy[str]:
    """Patterns that a value matches: pieces of it replaced by wildcards."""

    @some.composite
    def pattern(draw: some.DrawFn) -> str:
        made, at = "", 0
        while at < len(value):
            choice = draw(some.sampled_from("kkkk?*"))
            if choice == "*":
                made, at = made + "*", at + draw(some.integers(0, 4))
            else:
                made, at = made + (value[at] if choice == "k" else "?"), at + 1
        return made + draw(some.sampled_from(["", "*"]))

    return pattern()


@given(some.data(), names)
@settings(max_examples=400, deadline=None)
def test_a_name_has_every_term_that_its_patterns_need(data: some.DataObject, name: str) -> None:
    pattern = data.draw(patterns_of(name))
    if not matcher(NAME, pattern)(name):
        return  # folding can change lengths, so that a `?` no longer fits
    assert set(tokens.needs_of_name("name", pattern)) <= tokens.terms_of_name("name", name)


@given(some.data(), some.text("abcCé 12-", max_size=16))
@settings(max_examples=400, deadline=None)
def test_a_text_has_every_term_that_its_patterns_need(data: some.DataObject, text: str) -> None:
    pattern = data.draw(patterns_of(text))
    if not matcher(DESCRIPTION, pattern)(text):
        return
    assert set(tokens.needs_of_text("description", pattern)) <= tokens.terms_of_text("description", text)


def test_groups_of_a_name_are_found_each() -> None:
    terms = tokens.terms_of_name("name", "Yamada^Tarou=山田^太郎=やまだ^たろう")
    for pattern in ("yama*", "山田*", "*太郎", "やまだ^たろう"):
        assert set(tokens.needs_of_name("name", pattern)) <= terms


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("SMI*", ("name.edge", "smi")),
        ("Müller^Jö*", ("name.given", "muller^jo")),
        ("*^JA*", ("name.part", "ja")),
        ("*MIT*", ("name.gram", "mit")),
    ],
)
def test_what_drives_a_search(pattern: str, first: tuple[str, str]) -> None:
    assert tokens.needs_of_name("name", pattern)[0] == first


@pytest.mark.parametrize("pattern", ["*", "?", "*A*", "**", "*AB*"])
def test_short_patterns_need_no_term(pattern: str) -> None:
    assert tokens.needs_of_name("name", pattern) == []


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("odegard*", "Ødegård^Åse"), ("Ødegård*", "Ødegård^Åse"), ("lodz*", "Łódź^Ewa"), ("*^soren*", "Æbel^Søren"),
     ("aebel*", "Æbel^Søren"), ("thor*", "Þór^Jón"), ("strasse*", "Straße^A")],
)  # fmt: skip
def test_names_are_found_as_a_plain_keyboard_writes_them(typed: str, stored: str) -> None:
    assert matcher(0x00100010, typed)(stored)
    assert set(tokens.needs_of_name("name", typed)) <= tokens.terms_of_name("name", stored)
