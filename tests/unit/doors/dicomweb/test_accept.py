from __future__ import annotations

import pytest
from starlette.requests import Request

from troth.doors.dicomweb.accept import DICOM, JPEG, JSON, OCTETS, PLAIN_JSON, PNG, chosen, wanted
from troth.doors.dicomweb.errors import NothingAcceptable


def asked(accept: str, query: bytes = b"") -> Request:
    headers = [(b"accept", accept.encode())] if accept else []
    return Request({"type": "http", "method": "GET", "headers": headers, "query_string": query, "path": "/"})


@pytest.mark.parametrize(
    ("accept", "offered", "multipart", "expected"),
    [
        ("", (JSON,), False, JSON),
        ("*/*", (JSON,), False, JSON),
        ("application/json", (JSON, PLAIN_JSON), False, PLAIN_JSON),
        ("image/png;q=0.9, image/jpeg;q=0.1", (JPEG, PNG), False, PNG),
        ("image/*", (JPEG, PNG), False, JPEG),
        ('multipart/related; type="application/octet-stream"; transfer-syntax=*', (OCTETS,), True, OCTETS),
        ("multipart/related; type=application/dicom", (DICOM,), True, DICOM),
        ("text/html, application/dicom+json", (JSON,), False, JSON),
        ("*/*, application/dicom+json;q=0", (JSON, PLAIN_JSON), False, PLAIN_JSON),
        ("application/dicom+json;q=0, */*", (JSON, PLAIN_JSON), False, PLAIN_JSON),
        ("application/*, application/dicom+json;q=0.1", (JSON, PLAIN_JSON), False, PLAIN_JSON),
        ("*/*;q=0, application/json", (JSON, PLAIN_JSON), False, PLAIN_JSON),
        ("image/*;q=0, image/png, */*;q=0.1", (JPEG, PNG), False, PNG),
        ("multipart/*", (OCTETS,), True, OCTETS),
        ("multipart/*;q=0, */*", (OCTETS,), False, OCTETS),
    ],
)
@pytest.mark.conformance("checked accept")
def test_what_is_chosen(accept: str, offered: tuple[str, ...], multipart: bool, expected: str) -> None:
    assert chosen(wanted(asked(accept)), offered, multipart=multipart) == expected


@pytest.mark.parametrize(
    ("accept", "multipart"),
    [
        ("*/*, image/*;q=0", False),
        ("*/*, image/jpeg;q=0, image/png;q=0.0", False),
        ("*/*, multipart/*;q=0", True),
        ("*/*, multipart/related;q=0", True),
        ('*/*, multipart/*, multipart/related;type="image/*";q=0', True),
        ("multipart/*", False),
        ("image/*", True),
    ],
)
def test_the_narrowest_range_decides(accept: str, multipart: bool) -> None:
    """RFC 9110 12.5.1, 12.4.2."""
    with pytest.raises(NothingAcceptable):
        chosen(wanted(asked(accept)), (JPEG, PNG), multipart=multipart)


@pytest.mark.parametrize("accept", ["text/html", "application/dicom+json;q=0", "application/dicom+json;q=x", "garbage"])
def test_nothing_fits(accept: str) -> None:
    with pytest.raises(NothingAcceptable):
        chosen(wanted(asked(accept)), (JSON,))


@pytest.mark.conformance("rendered accept", "QIDO option accept")
def test_the_parameter_comes_first() -> None:
    (only,) = wanted(asked("image/png", b"accept=application/dicom;transfer-syntax=*"))
    assert (only.media_type, only.syntax) == (DICOM, "*")


@pytest.mark.parametrize("q", ["1", "0.8", "1.0", "0.123456789"])
def test_qualities_that_are_met(q: str) -> None:
    assert chosen(wanted(asked(f"image/png;q={q}, image/jpeg;q=0.01")), (JPEG, PNG)) == PNG


@pytest.mark.parametrize("q", ["nan", "inf", "-1", "1e9", "0x1", "1" * 60])
def test_what_is_no_quality_is_none(q: str) -> None:
    with pytest.raises(NothingAcceptable):
        wanted(asked(f"image/png;q={q}"))
