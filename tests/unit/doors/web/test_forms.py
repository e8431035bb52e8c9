from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from troth.doors import web
from troth.doors.web import forms
from troth.doors.web.declared import ACTS, FORMS
from troth.doors.web.errors import ActUndeclared, FormForeign, FormTooLarge, FormTooSlow, FormUnreadable


def form(content: bytes, pieces: int = 1) -> Request:
    step = max(len(content) // pieces, 1)
    chunks = [content[start : start + step] for start in range(0, len(content), step)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_fields_are_read_without_space_around_them() -> None:
    assert await forms.read(form(b"name=+Anna+Sample+&empty=&code=12%2034", 3)) == {
        "name": "Anna Sample",
        "empty": "",
        "code": "12 34",
    }


def sent(path: str, act: str | None) -> Request:
    request = form(b"" if act is None else urlencode({"act": act}).encode())
    request.scope["path"] = re.sub(r"\{\w+\}", "x", path)
    return request


def test_every_form_of_several_buttons_says_which() -> None:
    assert set(ACTS) == {name for name, each in FORMS.items() if "act" in each.fields}
    shown = set()
    for page in Path(web.__file__).parent.rglob("*.html"):
        shown |= set(re.findall(r'name="act" value="(\w+)"', page.read_text()))
    assert len(shown) > 20
    assert shown <= {act for acts in ACTS.values() for act in acts}


@pytest.mark.parametrize("name", sorted(ACTS))
async def test_a_button_that_a_form_has_not_is_refused(name: str) -> None:
    path, acts = FORMS[name].path, ACTS[name]
    for act in filter(None, acts):
        assert (await forms.read(sent(path, act)))["act"] == act
    for act in (*(f"{act}x" for act in acts), *(act.upper() for act in acts if act), "remove_all"):
        with pytest.raises(ActUndeclared):
            await forms.read(sent(path, act))
    for nothing in ("", None):
        if "" in acts:
            assert not (await forms.read(sent(path, nothing))).get("act")
        else:
            with pytest.raises(ActUndeclared):
                await forms.read(sent(path, nothing))


def with_file(content: bytes, kind: str = "multipart/form-data; boundary=b-1") -> Request:
    request = form(content)
    request.scope["headers"] = [(b"content-type", kind.encode())]
    return request


async def test_a_form_that_carries_a_file_is_read() -> None:
    content = (
        b'--b-1\r\nContent-Disposition: form-data; name="list"\r\n\r\n Staff \r\n--b-1\r\nContent-Disposition:'
        b' form-data; name="file"; filename="a;b.csv"\r\nContent-Type: text/csv\r\n\r\na,b\r\n\xff\r\n--b-1--\r\n'
    )
    assert await forms.read(with_file(content)) == {"list": "Staff", "file": "a,b\r\n\udcff"}


@pytest.mark.parametrize("told", [b"\xff", b"a\0b"])
@pytest.mark.parametrize("name", sorted(FORMS))
async def test_no_form_takes_what_is_no_text(name: str, told: bytes) -> None:
    """PostgreSQL takes neither, and nobody types it; only the bytes of a file are left to whoever reads them."""
    path = re.sub(r"\{\w+(:\w+)?\}", "x", FORMS[name].path)
    for field in FORMS[name].fields:
        key = field.replace("*", "1").encode()
        quoted = b"%FF" if told == b"\xff" else b"a%00b"
        part = b'--b-1\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n--b-1--\r\n' % (key, told)
        for request in (form(key + b"=" + quoted), form(key + b"=" + told), with_file(part)):
            request.scope["path"] = path
            if field == "file" and request.headers:
                assert "file" in await forms.read(request)
            else:
                with pytest.raises(FormUnreadable):
                    await forms.read(request)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"--b-1\r\n\r\nx", "multipart/form-data; boundary=b-1"),
        (b"--b-1--", "multipart/form-data; boundary=b-1"),
        (b"--b-1\r\n\r\n" * 65 + b"--b-1--", "multipart/form-data; boundary=b-1"),
        (b"", "multipart/form-data; " + ";" * 60_000),
    ],
)
async def test_what_is_no_form_with_a_file_is_refused(content: bytes, kind: str) -> None:
    with pytest.raises(FormTooLarge):
        await forms.read(with_file(content, kind))


async def test_a_form_that_drips_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "SHORT_SECONDS", 0.01)
    count = 0

    async def receive() -> dict[str, Any]:
        nonlocal count
        count += 1
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(FormTooSlow):
        await forms.read(Request({"type": "http", "method": "POST", "headers": []}, receive))
    assert count < 1_000


@pytest.mark.asvs("V2.2.1", "V5.2.1")
@pytest.mark.parametrize("content", [b"a=" + b"x" * 20_000, b"&".join(b"a%d=1" % n for n in range(65))])
async def test_more_than_a_form_has_is_refused(content: bytes) -> None:
    with pytest.raises(FormTooLarge):
        await forms.read(form(content, 5))


@pytest.mark.asvs("V3.5.1")
def test_a_form_needs_the_proof_of_its_session() -> None:
    token = forms.token_of("session")
    forms.require_token({"token": token}, "session")
    for fields, session in (({"token": token}, "another"), ({}, "session"), ({"token": ""}, ""), ({"token": "ü"}, "x")):
        with pytest.raises(FormForeign):
            forms.require_token(fields, session)


def test_the_proof_does_not_tell_the_session() -> None:
    assert "session" not in forms.token_of("session")
    assert forms.token_of("") == ""


def test_the_proof_looks_different_on_every_page() -> None:
    """Pages are compressed: what stands in each of them unchanged could be guessed from their lengths."""
    tokens = {forms.token_of("session") for _ in range(20)}
    assert len(tokens) == 20
    assert not set.intersection(*({token[at : at + 8] for at in range(len(token) - 7)} for token in tokens))
    for token in tokens:
        forms.require_token({"token": token}, "session")
