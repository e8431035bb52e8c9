from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from troth.doors import media_types, multipart
from troth.doors.errors import MultipartBroken
from troth.doors.multipart import PartBegins, PartEnds, PartReader


def parts_of(chunks: list[bytes], boundary: str = "b-1") -> tuple[list[tuple[str, bytes]], PartReader]:
    reader, parts, content, kind = PartReader(boundary), [], b"", ""
    for chunk in chunks:
        for event in reader.feed(chunk):
            if isinstance(event, PartBegins):
                kind, content = event.media_type, b""
            elif isinstance(event, PartEnds):
                parts.append((kind, content))
            else:
                content += bytes(event)
    return parts, reader


@given(
    some.lists(
        some.binary(max_size=60) | some.sampled_from([b"\r\n", b"\r\n--", b"\r\n--b", b"--b-1", b"-"]), max_size=4
    ),
    some.lists(some.integers(1, 40), min_size=1),
)
@settings(max_examples=300, deadline=None)
@pytest.mark.conformance("checked streaming")
def test_what_goes_in_comes_out_however_it_is_cut(contents: list[bytes], cuts: list[int]) -> None:
    if any(b"\r\n--b-1" in b"\r\n" + content + b"\r\n" for content in contents) or not contents:
        return
    whole = multipart.message("b-1", [("application/dicom", "", content) for content in contents])
    chunks, at = [], 0
    for number in range(len(whole)):
        size = cuts[number % len(cuts)]
        chunks.append(whole[at : at + size])
        at += size
    parts, reader = parts_of([chunk for chunk in chunks if chunk])
    assert [content for _, content in parts] == contents
    assert reader.is_ended


@pytest.mark.parametrize(
    "message",
    [
        b"--b-1 x\r\n\r\nabc\r\n--b-1--",
        b"x" * 70_000,
        b"--b-1\r\nContent-Type: " + b"a" * 9_000 + b"\r\n\r\n",
        b"--b-1" + b" " * 300,
    ],
)
def test_messages_that_break_the_rules(message: bytes) -> None:
    with pytest.raises(MultipartBroken):
        parts_of([message])


def test_an_empty_part_is_empty_however_it_is_cut() -> None:
    message = b"--b-1\r\n\r\n--b-1\r\n\r\n\r\n--b-1--"
    for size in range(1, len(message) + 1):
        parts, reader = parts_of([message[at : at + size] for at in range(0, len(message), size)])
        assert [content for _, content in parts] == [b"", b""], size
        assert reader.is_ended


def test_a_part_whose_type_cannot_be_read_is_one_that_nobody_takes() -> None:
    message = (
        b"--b-1\r\nContent-Type: a/b" + b";x" * 3_000 + b"\r\n\r\n1\r\n--b-1\r\nContent-Type: a/b\r\n\r\n2\r\n--b-1--"
    )
    assert parts_of([message])[0] == [("unreadable", b"1"), ("a/b", b"2")]


def test_forms_that_are_met() -> None:
    lenient = (
        b"preamble\r\n--b-1  \r\ncontent-type : application/dicom; transfer-syntax=1.2\r\n\r\n\r\n--b-1--\r\nepilogue"
    )
    assert parts_of([lenient])[0] == [("application/dicom", b"")]
    bare = b"--b-1\r\n\r\nabc\r\n--b-1--"
    assert parts_of([bare])[0] == [("", b"abc")]
    cut = b"--b-1\r\n\r\nabc"
    assert parts_of([cut])[0] == []


@pytest.mark.parametrize(
    "content_type", ["multipart/related", "multipart/related; boundary=", 'x/y; boundary="a\x00b"']
)
def test_no_usable_boundary(content_type: str) -> None:
    with pytest.raises(MultipartBroken):
        multipart.boundary_of(media_types.read(content_type))
