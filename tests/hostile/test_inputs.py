"""A part of `make hostile` for every run: the inputs are there, and readers count before they work."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest
from tools import growth

from tests.hostile import dicom_inputs, http_inputs
from troth.dicom import metadata_in
from troth.kit.errors import TrothError

COSTLY = ("600 numbers of 100,000", "300,000 empty instances", "depth of lists", "a number of 5,000 figures")


def test_there_are_enough_of_them_and_none_is_large() -> None:
    requests = list(http_inputs.every())
    messages = [*dicom_inputs.of_strangers(), *dicom_inputs.of_peers()]
    assert len(requests) + len(messages) >= 400
    recipes = [one.family for one in requests if "CVE" in one.family] + [name for name, _ in messages if "CVE" in name]
    assert len(recipes) >= 25
    assert all(len(one.body) <= http_inputs.MOST_BYTES for one in requests)
    assert all(len(octets) <= http_inputs.MOST_BYTES for _, octets in messages)


@pytest.mark.asvs("V15.2.2")
@pytest.mark.parametrize("name", COSTLY)
def test_metadata_costs_what_it_weighs(name: str) -> None:
    kind, content = next((kind, content) for each, kind, content in http_inputs.documents() if each == name)
    tracemalloc.start()
    with suppress(TrothError):
        metadata_in.packed(metadata_in.read(content, is_xml=kind == http_inputs.XML))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20


@pytest.mark.asvs("V15.2.2")
@pytest.mark.parametrize("name", ["media type", "list of media types", "cookie", "parts of a message", "number"])
def test_a_reader_of_strangers_takes_no_more_than_its_share(name: str) -> None:
    calls = []
    for length in (4_000, 16_000):
        calls.append(max(growth.calls_of(growth.READERS[name], made(length)) for made in growth.contents(2, 5)))
    assert calls[1] <= 4.5 * calls[0] + 100
