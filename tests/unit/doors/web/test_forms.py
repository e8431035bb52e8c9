from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from troth.doors.web import forms
from troth.doors.web.errors import FormForeign, FormTooLarge


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


@pytest.mark.parametrize("content", [b"a=" + b"x" * 20_000, b"&".join(b"a%d=1" % n for n in range(65))])
async def test_more_than_a_form_has_is_refused(content: bytes) -> None:
    with pytest.raises(FormTooLarge):
        await forms.read(form(content, 5))


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
