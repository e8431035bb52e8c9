"""What a notice says about lists: sources, activities, and how long a record stays."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from troth.notice import load_all
from troth.people import SourceUnlisted, origins
from troth.people.contacts.terms import contract_activities, keeping, origin_of, starts_at_once

NOTICES = Path(__file__).parents[4] / "notices"
VENDOR = load_all([NOTICES / "terminology-vendor"])
MAKER = load_all([NOTICES / "equipment-maker"])


def test_a_clause_names_each_of_its_kinds_and_no_other_source_is_known() -> None:
    known = origins(VENDOR)
    assert set(known) == {
        "partner", "subcontractor", "ad_network", "analytics", "academic_institution", "journal_owner", "data_vendor",
        "license_holder",
    }  # fmt: skip
    assert {known[word].clause for word in known} == {"3.2", "3.4"}
    assert known["license_holder"].activities == ("licensed_products",)
    assert "licensed_products" not in known["partner"].activities
    with pytest.raises(SourceUnlisted, match="no such source"):
        origin_of(VENDOR, "friend", "promotion")
    with pytest.raises(SourceUnlisted, match="for that"):
        origin_of(VENDOR, "license_holder", "promotion")
    assert origins(load_all([NOTICES / "imaging-cloud"])) == {}


def test_an_employers_list_gives_support_and_nobody_has_to_be_told() -> None:
    staff = origins(MAKER)["staff_list"]
    assert (staff.kind, staff.gives, staff.tell_by(datetime(2026, 1, 31, tzinfo=UTC))) == (
        "staff",
        ("staff_list",),
        None,
    )
    assert origins(MAKER)["address_supplier"].kind == "contacts"


def test_a_month_ends_on_a_working_day() -> None:
    by = origins(VENDOR)["partner"].tell_by(datetime(2026, 1, 31, 12, tzinfo=UTC))
    assert by is not None
    assert by.astimezone(VENDOR[0].zone).date() == date(2026, 3, 2), "28 February is a Saturday"


def test_each_activity_has_its_own_time() -> None:
    assert contract_activities(VENDOR) == {"licensed_products"}
    site, contract = (keeping(VENDOR, key, date(2016, 11, 22)) for key in ("promotion", "licensed_products"))
    assert site is not None
    assert contract is not None
    assert (site.dispose_on, site.clause, site.is_under_contract) == (date(2026, 11, 22), "8.1", False)
    assert (contract.dispose_on, contract.clause, contract.is_under_contract) == (date(2020, 11, 22), "8.4", True)
    running = keeping(VENDOR, "licensed_products", None)
    assert running is not None
    assert running.dispose_on is None
    assert keeping(VENDOR, "gone", date(2016, 1, 1)) is None, "nobody knows it any more, so it stays"
    assert starts_at_once(VENDOR, "promotion")
    assert not starts_at_once(VENDOR, "licensed_products")
