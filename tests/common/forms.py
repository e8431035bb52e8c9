"""The forms of a page, as a browser reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

GIVEN = frozenset({"hidden", "submit", "button"})
"""Kinds of input that nobody types into."""


@dataclass
class Form:
    """A form of a page that was sent: where to, what is in it already, and what somebody has to type."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    presses: dict[str, str] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)

    def filled(self) -> dict[str, str]:
        """The form with something in each field, and its first button pressed."""
        given = {name: value or self.options.get(name, [""])[-1] or "erase" for name, value in self.fields.items()}
        return {**given, **dict.fromkeys(self.required - given.keys(), "yes"), **self.presses}


class Forms(HTMLParser):
    """The forms of a page that are sent by POST, and the ids on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.ids: list[str] = []
        self._form: Form | None = None
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "form":
            self._form = Form(given.get("action", "")) if given.get("method") == "post" else None
            if self._form is not None:
                self.found.append(self._form)
        elif self._form is not None and given.get("name"):
            if tag == "button" and not self._form.presses:
                self._form.presses = {given["name"]: given.get("value", "")}
            elif given.get("type") == "hidden":
                self._form.fields[given["name"]] = given.get("value", "")
            elif tag in {"input", "select", "textarea"} and given.get("type") not in GIVEN:
                if given.get("type") not in {"checkbox", "radio"}:
                    self._form.fields[given["name"]] = ""
                if tag == "select":
                    self._select = given["name"]
                if "required" in given:
                    self._form.required.add(given["name"])

        elif tag == "option" and self._form is not None:
            self._form.options.setdefault(self._select, []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
