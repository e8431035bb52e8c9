"""The conditions of a disclosure, each held alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth import notice
from troth.exchange import Contract, Disclosure, DisclosureRefused, Instrument, Recipient, Term, gate
from troth.exchange.model import EEA, is_abroad

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NOTICE = notice.load(Path(__file__).parents[3] / "notices" / "imaging-host" / "notice.yaml")
TERM = Term(date(2026, 1, 5))
WANTED = Disclosure("contract", "clinic", "images", "exchange", study_id=uuid4())
RECIPIENT = Recipient(
    uuid4(), uuid4(), "clinic", "other_hospitals", "Clinic", "customer", "1 Street", "US", ("images",), ("exchange",),
    "signed", None, "", NOW,
)  # fmt: skip
CONTRACT = Contract(uuid4(), uuid4(), "signed", "controller", "Clinic", "", TERM, None)
INSTRUMENT = Instrument(uuid4(), uuid4(), "clauses", "scc", "GB", "US", "", TERM, None)
HELD = gate.Registers(NOW, "GB", RECIPIENT, (CONTRACT,), (INSTRUMENT,), None, frozenset(), (), (NOTICE,))


def test_it_passes_when_everything_is_there() -> None:
    passed = gate.check(WANTED, HELD)
    assert (passed.contract, passed.instrument, passed.basis) == (CONTRACT, INSTRUMENT, "A6-1-f")


@pytest.mark.parametrize(
    ("wanted", "held", "reason"),
    [
        (WANTED, replace(HELD, recipient=None), "recipient"),
        (WANTED, replace(HELD, recipient=replace(RECIPIENT, ended_at=NOW)), "recipient"),
        (replace(WANTED, category="demographics"), HELD, "category"),
        (replace(WANTED, purpose="sale"), HELD, "purpose"),
        (replace(WANTED, purpose="support"), HELD, "purpose"),
        (replace(WANTED, kind="law"), HELD, "kind"),
        (replace(WANTED, kind="gift"), HELD, "kind"),
        (replace(WANTED, study_id=None), HELD, "kind"),
        (WANTED, replace(HELD, contracts=()), "contract"),
        (WANTED, replace(HELD, contracts=(replace(CONTRACT, term=Term(TERM.since, date(2026, 11, 21))),)), "contract"),
        (WANTED, replace(HELD, contracts=(replace(CONTRACT, kind="subprocessor"),)), "contract"),
        (WANTED, replace(HELD, instruments=()), "transfer"),
        (WANTED, replace(HELD, instruments=(replace(INSTRUMENT, kind="privacy_shield"),)), "transfer"),
        (WANTED, replace(HELD, instruments=(replace(INSTRUMENT, recipient_key="other"),)), "transfer"),
        (WANTED, replace(HELD, instruments=(replace(INSTRUMENT, term=Term(TERM.since, None, NOW)),)), "transfer"),
        (replace(WANTED, kind="instruction"), HELD, "instruction"),
        (replace(WANTED, kind="consent"), HELD, "consent"),
    ],
)
def test_each_thing_that_is_missing_is_named(wanted: Disclosure, held: gate.Registers, reason: str) -> None:
    with pytest.raises(DisclosureRefused) as refused:
        gate.check(wanted, held)
    assert refused.value.reason == reason


@given(st.dates(date(2026, 1, 1), date(2027, 1, 1)), st.integers(0, 400), st.integers(-400, 400))
def test_a_term_holds_from_its_first_to_its_last_day(since: date, days: int, offset: int) -> None:
    until = since + timedelta(days=days)
    at = datetime(since.year, since.month, since.day, 12, tzinfo=UTC) + timedelta(days=offset)
    assert Term(since, until).holds(at) == (since <= at.date() <= until)


def test_inside_the_eea_nothing_is_a_transfer() -> None:
    assert not any(is_abroad(one, other) for one in EEA for other in EEA)
    assert is_abroad("FR", "US")
    assert is_abroad("GB", "FR")
    assert not is_abroad("GB", "GB")
