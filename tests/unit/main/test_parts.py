"""What wakes the worker."""

from __future__ import annotations

import pytest

from troth.main.parts import may_mean_work


@pytest.mark.parametrize(
    ("kinds", "is_work"),
    [
        ((), True),  # another node leads, so nobody knows
        (("archive:instances:stored", "archive:studies:queried"), False),
        (("archive:study:opened", "rights:request:received"), True),
        (("people:list:agreed",), True),
        (("notice:version:published",), True),
    ],
)
def test_images_that_come_and_are_looked_at_wake_nobody(kinds: tuple[str, ...], is_work: bool) -> None:
    assert may_mean_work(kinds) is is_work
