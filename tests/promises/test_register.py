"""The register of processing leaves as HTML, as a table, and in the Data Privacy Vocabulary."""

from __future__ import annotations

import csv
import io

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.notice import Category, Purpose

rdflib = pytest.importorskip("rdflib")
DPV = "https://w3id.org/dpv#"


@pytest.fixture(scope="module")
async def maker(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("equipment-maker")


@pytest.mark.promise("EM-03")
async def test_the_register_exports_as_dpv_json_ld(maker: Deployment) -> None:
    web = maker.anybody().web
    answer = await web.get("/notice/register.jsonld")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/ld+json"
    graph = rdflib.Graph().parse(data=answer.text, format="json-ld")
    dpv = rdflib.Namespace(DPV)
    notices = [each.notice for each in await maker.rooms.notices.current()]
    activities = [each for notice in notices for each in notice.all("purpose") if isinstance(each, Purpose)]
    processes = set(graph.subjects(rdflib.RDF.type, dpv.PersonalDataProcess))
    assert len(processes) == len(activities)
    listed = set(graph.objects(None, dpv.hasPersonalDataProcess))
    assert processes == listed
    for process in processes:
        for property_name in (
            "hasPurpose",
            "hasLegalBasis",
            "hasPersonalData",
            "hasStorageCondition",
            "hasDataSubject",
        ):
            assert graph.value(process, dpv[property_name]) is not None, (process, property_name)
    for notice in notices:
        used = {key for each in notice.all("purpose") for key in getattr(each, "categories", ())}
        for category in notice.all("category"):
            assert isinstance(category, Category)
            assert category.key in used
            place = rdflib.URIRef(
                f"{maker.rooms.settings.http_url}/notice/versions/{notice.version}?of={notice.name}"
                f"#p{category.id.replace('.', '-')}"
            )
            term = category.iri.replace("dpv-pd:", "https://w3id.org/dpv/pd#").replace("dpv:", DPV)
            assert (place, rdflib.RDF.type, rdflib.URIRef(term)) in graph, category.key


@pytest.mark.promise("EM-03")
async def test_the_register_as_page_and_table_names_every_activity(maker: Deployment) -> None:
    web = maker.anybody().web
    table = list(csv.DictReader(io.StringIO((await web.get("/notice/register.csv")).text)))
    page = (await web.get("/notice/register")).text
    notices = [each.notice for each in await maker.rooms.notices.current()]
    expected = [(notice.name, each.id, each.key) for notice in notices for each in notice.all("purpose")]
    assert [(row["notice"], row["clause"], row["activity"]) for row in table] == expected
    for row in table:
        assert all(row[name] for name in ("lawful basis", "data", "about whom", "retention", "countries")), row
        assert f'<th scope="row">{row["activity"]}<br>' in page
