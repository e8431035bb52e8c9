from __future__ import annotations

import pytest

from troth.people.factors import codes


@pytest.mark.parametrize("typed", ["123456", "１２３４５６", " 123 456 ", "123-456", "١٢٣٤٥٦", "१२३४५६", "1２٣4५6"])
def test_figures_of_every_script_are_figures(typed: str) -> None:
    assert codes.figures(typed) == "123456"


@pytest.mark.parametrize("typed", ["", "abc", "²³", "½", "Ⅷ", "①"])
def test_what_is_no_decimal_digit_is_none(typed: str) -> None:
    assert codes.figures(typed) == ""


def test_no_more_is_read_than_a_code_can_be() -> None:
    assert len(codes.figures("1" * 10_000)) == 16


def test_ten_recovery_codes_that_nobody_mistypes() -> None:
    made = codes.recovery_codes()
    assert len(set(made)) == 10
    for each in made:
        assert len(codes.plain(each)) == 10
        assert codes.plain(each.upper().replace("-", " ")) == codes.plain(each)
    assert codes.plain("") == ""
