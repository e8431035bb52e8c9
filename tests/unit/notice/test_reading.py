from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.notice import NoticeMalformed, reading


def problem(source: str) -> str:
    with pytest.raises(NoticeMalformed) as caught:
        reading.parse(source, "n.yaml")
    return str(caught.value.problems[0])


def test_plain_content_with_lines() -> None:
    page = reading.parse("a: 4.10\nb:\n  - c: true\n    d: [1, two, 2026-11-01]\ne: >\n  one\n  two\nf: '12'\ng:\n")
    assert page.content == {
        "a": "4.10",
        "b": [{"c": True, "d": [1, "two", "2026-11-01"]}],
        "e": "one two\n",
        "f": "12",
        "g": None,
    }
    assert page.line(("b", 0, "d", 2)) == 4
    assert page.line(("b", 0, "gone", 9)) == 3
    assert page.line(()) == 1


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("a: 1\nb: &x 2", "n.yaml:2: an anchor"),
        ("a: *x", "n.yaml:1: an alias"),
        ("a: !!int 3", "n.yaml:1: a tag"),
        ("a: !!python/object:os.system 3", "n.yaml:1: a tag"),
        ("a: 1\na: 2", "n.yaml:2: the key 'a' stands twice"),
        ("<<: {a: 1}", "n.yaml:1: a merge key"),
        ("a: 1\n---\nb: 1", "n.yaml:2: a second document"),
        ("? [a]\n: b", "n.yaml:1: a key that is no text"),
        ("a: 'x", "n.yaml:1: not YAML"),
        ("a: We say: no.", "n.yaml:1: a colon stands in the middle of the text (put the whole text between quotation"),
        ("[" * 40, "n.yaml:1: nested too deep"),
        ("[" * 200_000, "n.yaml:1: nested too deep"),
        ("a: [" + "1," * 21_000 + "]", "n.yaml:1: too many entries"),
        ("a" * (reading.LIMIT_BYTES + 1), "n.yaml:1: the file is too large"),
        ("a: \x07", "n.yaml:1: not YAML"),
    ],
)
def test_what_a_notice_may_not_use_is_refused_with_its_line(source: str, what: str) -> None:
    assert problem(source).startswith(what)


def test_a_file_is_refused_when_missing_too_large_or_not_text(tmp_path: Path) -> None:
    file = tmp_path / "n.yaml"
    for content, what in (
        (None, "cannot be read"),
        (b"a" * (reading.LIMIT_BYTES + 1), "too large"),
        (b"a: 1\nb: \xff", ":2: not UTF-8"),
    ):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(NoticeMalformed, match=what):
            reading.read(file)
    file.write_bytes("a: é\n".encode())
    assert reading.read(file).content == {"a": "é"}


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(source: str) -> None:
    with suppress(NoticeMalformed):
        assert reading.parse(source).source == source
