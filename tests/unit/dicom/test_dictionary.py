"""The table beside the module is the one that the toolkit has, and answers as it does."""

from __future__ import annotations

import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag
from tools import dictionary as source

from troth.dicom import dictionary


def test_the_table_is_current() -> None:
    assert source.TARGET.read_text().splitlines() == source.lines()


@pytest.mark.parametrize("tag", [0x00100010, 0x00280106, 0x60003000, 0x60023000, 0x50043000, 0x7FE00010, 0x00203105])
def test_attributes_are_as_the_toolkit_knows_them(tag: int) -> None:
    term = dictionary.term(tag)
    assert term is not None
    assert (term.vr, term.keyword) == (dictionary_VR(tag), keyword_for_tag(tag))


def test_what_is_not_in_the_standard_is_not_there() -> None:
    assert dictionary.term(0x00110010) is None
    assert dictionary.term(0x00109999) is None
    assert dictionary.tags()["PatientName"] == 0x00100010
    assert "Patient" not in dictionary.tags()
