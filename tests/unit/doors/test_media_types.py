from __future__ import annotations

import sys

import pytest
from starlette.requests import Request

from troth.doors import media_types
from troth.doors.cookies import cookie
from troth.doors.errors import MediaTypeUnreadable


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("", "", {}),
        ("Application/DICOM", "application/dicom", {}),
        ("multipart/related; type=application/dicom; boundary=b,1", "multipart/related", {
            "type": "application/dicom", "boundary": "b,1"}),
        ('multipart/related;type="application/dicom+json" ; Boundary = "a; b=\\"c\\""', "multipart/related", {
            "type": "application/dicom+json", "boundary": 'a; b="c"'}),
        ('form-data; name="file"; filename="a;b.csv"', "form-data", {"name": "file", "filename": "a;b.csv"}),
        ("a/b;;q=1;", "a/b", {"q": "1"}),
        ("a/b; flag; x=1; x=2", "a/b", {"flag": "", "x": "1"}),
    ],
)  # fmt: skip
def test_what_is_read(text: str, name: str, parameters: dict[str, str]) -> None:
    told = media_types.read(text)
    assert (told.name, dict(told.parameters)) == (name, parameters)


def test_a_list_keeps_what_stands_in_quotes_together() -> None:
    told = media_types.read_list('multipart/related; type="image/jpeg, x"; transfer-syntax=*, */*;q=0.1,,')
    assert [one.name for one in told] == ["multipart/related", "*/*"]
    assert told[0].parameters == {"type": "image/jpeg, x", "transfer-syntax": "*"}


@pytest.mark.parametrize(
    "text", ["a/b;" + "x" * 1_024, "a/b" + ";x=1" * 17, 'a/b; x="', 'a/b; x=1"2', 'a/b; x="' + "\\" * 800, 'a/b;x="a"b']
)
def test_what_no_media_type_is(text: str) -> None:
    with pytest.raises(MediaTypeUnreadable):
        media_types.read(text)
    with pytest.raises(MediaTypeUnreadable):
        media_types.read_list(text)


def test_a_list_is_bounded() -> None:
    with pytest.raises(MediaTypeUnreadable):
        media_types.read_list("a/b," * 65)
    with pytest.raises(MediaTypeUnreadable):
        media_types.read_list("," * 8_193)


def test_a_cookie_is_found_among_others() -> None:
    def sent(*lines: str) -> Request:
        headers = [(b"cookie", line.encode()) for line in lines]
        return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})

    assert cookie(sent("a=1; name=b=c ;x"), "name") == "b=c"
    assert cookie(sent("name=1; name=2", "name=3"), "name") == "3"
    assert not cookie(sent("names=1; name"), "name")
    assert not cookie(sent(), "name")


def steps_of(text: str) -> int:
    """How many calls reading a cookie makes; escapes are not undone one by one."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    headers = [(b"cookie", text.encode())]
    http_request = Request({"type": "http", "method": "GET", "path": "/", "headers": headers})
    sys.setprofile(note)
    try:
        cookie(http_request, "name")
    finally:
        sys.setprofile(None)
    return count


def test_escapes_of_a_cookie_cost_nothing() -> None:
    assert steps_of('name="' + "\\" * 8_000 + '"') == steps_of('name="\\"')
