"""E-mail addresses in one form."""

from __future__ import annotations

import pytest

from troth.people import EmailMalformed
from troth.people.emails import normalised


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        (" Ada.Lovelace@Example.ORG ", "ada.lovelace@example.org"),
        ("ada+x@localhost", "ada+x@localhost"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@BÜCHER。example", "ada@xn--bcher-kva.example"),
        ("anna@straße.example", "anna@xn--strae-oqa.example"),
        ("anna@strasse.example", "anna@strasse.example"),
        ("anna@βόλος.example", "anna@xn--nxasmm1c.example"),
        ("anna@ab--c.example", "anna@ab--c.example"),
        ("o'neill@example.org", "o'neill@example.org"),
    ],
)
def test_one_form(typed: str, form: str) -> None:
    assert normalised(typed) == form
    assert normalised(form) == form, "what is kept is found again"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@@example.org",
        "a da@example.org",
        "ada@exa mple.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org, eve@example.org",
        "<ada@example.org>",
        "ada..b@example.org",
        "zoë@example.org",
        "ada@-example.org",
        "ada@bücher..example",
        "ada@i❤.example",
        f"{'a' * 65}@example.org",
        f"ada@{'a.' * 130}org",
        "ada@" + "\u0130" * 3000,
    ],
)
def test_what_mail_cannot_reach(typed: str) -> None:
    with pytest.raises(EmailMalformed) as caught:
        normalised(typed)
    assert "ada" not in str(caught.value)
