"""The register of processing: every activity of a notice, as a table and as JSON-LD."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from tests.unit.notice.kinds import content, find, made
from troth import notice as room
from troth.notice import Register, register


def table(*registers: Register) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(room.as_csv(registers))))


def nodes(*registers: Register) -> dict[str, dict[str, Any]]:
    """The processes of the JSON-LD by their titles."""
    graph = json.loads(room.as_jsonld(registers, "https://troth.example/"))["@graph"]
    return {node["dct:title"]: node for node in graph}


def test_every_activity_stands_in_it_with_all_that_the_law_asks(shipped: room.Notice) -> None:
    found = register(shipped)
    assert [each.key for each in found.activities] == [each.key for each in shipped.all("purpose")]
    assert found.controller == "Example Imaging Cloud"
    assert {of for of, _, _ in found.contacts} == {"dpo"}
    assert found.measures
    for each in found.activities:
        assert each.basis.startswith("eu-gdpr:A6-1-"), each.key
        assert each.categories, each.key
        assert each.retention, each.key
        assert each.regions == ("GB",)
        assert set(each.subjects) <= {"patients", "users", "visitors"}


def test_the_table_has_a_row_for_each_activity(shipped: room.Notice) -> None:
    small = made(content())
    rows = table(register(shipped), register(small))
    assert len(rows) == len(shipped.all("purpose")) + len(small.all("purpose"))
    [care] = [row for row in rows if row["activity"] == "care"]
    assert (care["capacity"], care["countries"], care["condition"]) == ("processor", "GB", "GDPR Art. 9(2)(h)")
    assert "images" in care["special categories"].split("; ")
    [contact] = [row for row in rows if row["activity"] == "contact"]
    assert contact["recipients"] == "the privacy office; Printer (US)"
    assert contact["special categories"] == ""
    assert contact["assessment of the interest"] == "§ 1.26: ask us"
    assert contact["retention"] == "contacts: one year from last_contact_on"


def test_no_cell_is_a_formula() -> None:
    plain = content()
    for first in "=+-@":
        find(plain, "purpose")["says"] = f"{first}SUM(A1)"
        [row] = [row for row in table(register(made(plain))) if row["activity"] == "contact"]
        assert row["what it is for"] == f"'{first}SUM(A1)"


def test_machines_read_who_decides_who_receives_and_how_long(shipped: room.Notice) -> None:
    small = nodes(register(made(content())))
    contact = small["contact"]
    assert "dpv:hasDataProcessor" not in contact
    assert contact["dpv:hasDataController"]["dpv:hasName"] == "Small"
    inside, outside = contact["dpv:hasRecipient"]
    assert (inside["@type"], "dpv:hasLocation" in inside) == (["dpv:Recipient"], False)
    assert (outside["@type"], outside["dpv:hasLocation"]) == (["dpv:Recipient", "dpv:ThirdParty"], "US")
    period, place = contact["dpv:hasStorageCondition"]
    assert (period["dpv:hasDuration"]["@value"], place["dpv:hasLocation"]) == ("P1Y", "GB")
    assert contact["dpv:hasLegalBasis"] == [{"@id": "eu-gdpr:A6-1-f"}]
    assert "dpv:hasDataController" not in small["hosting"]
    care = nodes(register(shipped))["care"]
    assert [each["@id"] for each in care["dpv:hasLegalBasis"]][1:] == ["eu-gdpr:A9-2-h"]
    kinds = {kind for each in care["dpv:hasPersonalData"] for kind in each["@type"]}
    assert "dpv:SpecialCategoryPersonalData" in kinds
