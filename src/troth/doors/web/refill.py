"""What somebody had typed, written into the form of a page that was made anew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser

_CHOICES = frozenset({"checkbox", "radio"})
_OURS = frozenset({"hidden", "file", "submit", "button", "image", "reset", "password"})


def refilled(html: str, action: str, fields: Mapping[str, str]) -> str:
    """The same page with what was typed in the forms that are sent to one address.

    Hidden fields stay as the page has them: they are ours, such as the proof of the form and the versions shown.

    Args:
        html: The page.
        action: Where the form is sent.
        fields: What was typed.
    """
    filler = _Filler(action, fields)
    filler.feed(html)
    filler.close()
    return "".join(filler.written)


class _Filler(HTMLParser):
    """Writes a page as it reads it, but for the fields of one form."""

    def __init__(self, action: str, fields: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=False)
        self.written: list[str] = []
        self._action = action
        self._fields = fields
        self._is_inside = False
        self._select = ""
        self._is_replaced = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag, with what was typed where it is a field of the form."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = given.get("action", "") == self._action and given.get("method", "").lower() == "post"
        elif tag == "select":
            self._select = given.get("name", "")
        self.written.append(self._tag(tag, given) or self.get_starttag_text() or "")
        if tag == "textarea" and self._is_inside and given.get("name") in self._fields:
            self.written.append("\n" + escape(self._fields[given["name"]]))
            self._is_replaced = True

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that closes itself."""
        self.written.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        """The end of an element."""
        if tag == "form":
            self._is_inside = False
        elif tag == "textarea":
            self._is_replaced = False
        self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Words; those of a field that is filled give way."""
        if not self._is_replaced:
            self.written.append(data)

    def handle_entityref(self, name: str) -> None:
        """A sign by its name."""
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """A sign by its number."""
        self.handle_data(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """A comment."""
        self.written.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        """The kind of document."""
        self.written.append(f"<!{decl}>")

    def _tag(self, tag: str, given: dict[str, str]) -> str:
        """The tag as it is written anew; empty where it stays as it is."""
        if not self._is_inside:
            return ""
        name = self._select if tag == "option" else given.get("name", "")
        if tag == "option" and name in self._fields:
            return _written(tag, given, "selected", given.get("value", "") == self._fields[name])
        if tag != "input" or given.get("type") in _OURS:
            return ""
        if given.get("type") in _CHOICES and name:
            return _written(tag, given, "checked", self._fields.get(name) == given.get("value", "on"))
        return _written(tag, {**given, "value": self._fields[name]}) if name in self._fields else ""


def _written(tag: str, given: Mapping[str, str], flag: str = "", is_set: bool = False) -> str:
    kept = {name: value for name, value in given.items() if name != flag}
    told = "".join(f' {name}="{escape(value)}"' for name, value in kept.items())
    return f"<{tag}{told}{f' {flag}' if is_set else ''}>"
