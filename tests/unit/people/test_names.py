"""Typed names against DICOM names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.people import names


@pytest.mark.parametrize(
    ("typed", "held"),
    [
        ("Ada Lovelace", "LOVELACE^ADA"),
        ("lovelace ada", "LOVELACE^ADA"),
        ("Lovelace, Ada", "LOVELACE^ADA"),
        ("Lovelace^Ada", "LOVELACE^ADA"),
        ("LOVELACE^ADA^KING^Dr^PhD", "Lovelace^Ada^King"),
        ("Ada Lovelace", "LOVELACE^ADA^KING^COUNTESS^"),
        ("Ada King Lovelace", "LOVELACE^ADA^KING"),
        ("  ada\tLOVELACE ", "Lovelace ^Ada "),
        ("Zoë Müller", "MULLER^ZOE"),
        ("Zoe Mueller", "MÜLLER^ZOË"),
        ("Zoë Müller", "MUELLER^ZOE"),
        ("Anne-Marie O'Neill", "O NEILL^ANNE MARIE"),
        ("Annemarie Oneill", "O'NEILL^ANNE-MARIE"),
        ("Søren Ærø", "AERO^SOREN"),
        ("Groß Łucja", "GROSS^LUCJA"),
        ("山田 太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("山田太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("Tarou Yamada", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("Zoe\u0308 Mu\u0308ller", "Müller^Zoë"),
    ],
)
def test_the_same_name(typed: str, held: str) -> None:
    assert names.matches(typed, held)


@pytest.mark.parametrize(
    ("typed", "held"),
    [
        ("Ada", "LOVELACE^ADA"),
        ("Lovelace", "LOVELACE^ADA"),
        ("Ada Byron", "LOVELACE^ADA"),
        ("Ada Ada Lovelace", "LOVELACE^ADA"),
        ("Ada Lovelace Junior", "LOVELACE^ADA"),
        ("Ada King", "LOVELACE^ADA^KING"),
        ("", "LOVELACE^ADA"),
        ("", ""),
        ("", "^^^^"),
        ("^", "^"),
        ("Ada Lovelace", ""),
        (" ,-' ", "^"),
        ("=", "="),
    ],
)
def test_another_name(typed: str, held: str) -> None:
    assert not names.matches(typed, held)


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_typed_breaks_it_and_a_name_matches_itself(family: str, given_name: str) -> None:
    held = f"{family.replace('^', ' ').replace('=', ' ')}^{given_name.replace('^', ' ').replace('=', ' ')}"
    has_letters = any(letter.isalnum() for letter in held)
    assert names.matches(held, held) is has_letters or not has_letters
    names.matches(family, given_name)


def test_displayed() -> None:
    assert names.displayed("LOVELACE^ADA^KING^Dr=x^y") == "ADA KING LOVELACE"
    assert names.displayed("") == ""
