from __future__ import annotations

import pytest

from troth.kit import numbers


@pytest.mark.asvs("V1.4.2")
@pytest.mark.parametrize(
    ("text", "least", "most", "number"),
    [
        ("0", 0, 9, 0), (" 007 ", 0, 9, 7), ("-3", -5, 5, -3), ("+3", -5, 5, 3),
        ("9223372036854775807", 0, 2**63, (1 << 63) - 1),
        ("", 0, 9, None), (None, 0, 9, None), ("10", 0, 9, None), ("-1", 0, 9, None), ("+1", 0, 9, None),
        ("1_0", 0, 99, None), ("٣", 0, 9, None), ("²", 0, 9, None), ("1.0", 0, 9, None), ("0x1", 0, 9, None),
        ("1" * 5_000, 0, 2**63, None), (" " * 80 + "1", 0, 9, None), ("1\n", 0, 9, 1), ("1 1", 0, 99, None),
    ],
)  # fmt: skip
def test_whole_numbers(text: str | None, least: int, most: int, number: int | None) -> None:
    assert numbers.whole(text, least=least, most=most) == number


@pytest.mark.asvs("V1.4.2")
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.5", 1.5), (" -0.5e3 ", -500.0), (".5", 0.5), ("5.", 5.0), ("+7", 7.0), ("1e-400", 0.0),
        ("nan", None), ("inf", None), ("-Infinity", None), ("1e999", None), ("1_0", None), ("٣", None), ("", None),
        (None, None), ("1" * 65, None), ("1e99999", None), (".", None), ("0x1p3", None), ("1,5", None),
    ],
)  # fmt: skip
def test_decimal_numbers(text: str | None, number: float | None) -> None:
    assert numbers.decimal(text) == number
