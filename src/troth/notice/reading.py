"""YAML as a notice needs it: plain text, lists and mappings, each with its line; nothing that expands or runs.

Built on the event stream of ruamel.yaml, because a notice wants less than YAML gives: no anchors and aliases (no
"billion laughs"), no tags, no merge keys, one document, bounded size and depth; `4.10` stays the text "4.10" and
`2026-11-01` stays a text that the schema looks at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from troth.notice.errors import NoticeMalformed
from troth.notice.problem import Problem

LIMIT_BYTES = 256 * 1024
LIMIT_DEPTH = 12
LIMIT_NODES = 12_000

Key = str | int
Place = tuple[Key, ...]

_PLAIN = {"true": True, "false": False, "null": None, "~": None, "": None}
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")

_MEANT: Final[Mapping[str, tuple[str, str]]] = {
    "mapping values are not allowed here": (
        "a colon stands in the middle of the text",
        'put the whole text between quotation marks: says: "One thing: another."',
    ),
}
"""What the parser says of mistakes that are made in writing, as somebody who writes would say it; and the way out."""


@dataclass(frozen=True, slots=True)
class Page:
    """What was read.

    Attributes:
        path: The file, as it was named.
        source: Its text.
        content: Plain mappings, lists, texts, whole numbers, booleans and None.
        lines: The line of each place in the content, from 1.
    """

    path: str
    source: str
    content: Any
    lines: dict[Place, int]

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(path: Path) -> Page:
    """Read a file of a notice.

    Args:
        path: The YAML file.

    Raises:
        NoticeMalformed: Not there, too large, not UTF-8, or not YAML as a notice may use it.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LIMIT_BYTES + 1)
    except OSError as fault:
        raise NoticeMalformed([Problem(str(path), 1, "the file cannot be read", fault.strerror or "")]) from fault
    if len(raw) > LIMIT_BYTES:
        raise NoticeMalformed([Problem(str(path), 1, "the file is too large", f"at most {LIMIT_BYTES // 1024} KiB")])
    try:
        source = raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = raw[: fault.start].count(b"\n") + 1
        raise NoticeMalformed([Problem(str(path), line, "not UTF-8 text", "save the file as UTF-8")]) from fault
    return parse(source, str(path))


def parse(source: str, path: str = "notice.yaml") -> Page:
    """Read the text of a notice.

    Args:
        source: YAML.
        path: How to name it in problems.

    Raises:
        NoticeMalformed: Not YAML as a notice may use it; the first problem only.
    """
    if len(source) > LIMIT_BYTES:
        raise NoticeMalformed([Problem(path, 1, "the file is too large", f"at most {LIMIT_BYTES // 1024} KiB")])
    builder = _Builder(path)
    try:
        for event in YAML(typ="safe", pure=True).parse(source):
            builder.take(event)
    except YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(fault, "problem", None) or "cannot be read"
        what, hint = _MEANT.get(problem, (f"not YAML: {problem}", "look at the line and the one before"))
        raise NoticeMalformed([Problem(path, line, what, hint)]) from fault
    return Page(path, source, builder.content, builder.lines)


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    place: Place
    content: dict[str, Any] | list[Any]
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    """Turns events into plain content, and refuses what a notice may not use."""

    path: str
    content: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    _frames: list[_Frame] = field(default_factory=list)
    _documents: int = 0

    def take(self, event: Any) -> None:
        """Take the next event of the parser."""
        line = event.start_mark.line + 1
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(line, "a second document", "one notice per file; remove the line ---")
        elif isinstance(event, AliasEvent):
            self._refuse(line, "an alias (*name)", "write the text out")
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._frames.pop()
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent, ScalarEvent)):
            if event.anchor is not None:
                self._refuse(line, "an anchor (&name)", "write the text out where it is needed")
            if event.ctag is not None:
                self._refuse(line, "a tag (!name)", "remove it; a notice holds plain text, lists and mappings")
            self._take_node(event, line)

    def _take_node(self, event: Any, line: int) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame is not None and isinstance(frame.content, dict) and frame.key is None:
            self._take_key(frame, event, line)
            return
        content: Any
        if isinstance(event, ScalarEvent):
            content = _plain(event.value) if event.style is None else event.value
        else:
            content = {} if isinstance(event, MappingStartEvent) else []
        place = self._put(frame, content, line)
        if not isinstance(event, ScalarEvent):
            if len(self._frames) >= LIMIT_DEPTH:
                self._refuse(line, "nested too deep", f"at most {LIMIT_DEPTH} levels")
            self._frames.append(_Frame(place, content))

    def _take_key(self, frame: _Frame, event: Any, line: int) -> None:
        if not isinstance(event, ScalarEvent):
            self._refuse(line, "a key that is no text", "put the list or mapping after a key")
        key = str(event.value)
        if key == "<<":
            self._refuse(line, "a merge key (<<)", "write the text out")
        if key in frame.content:
            self._refuse(line, f"the key {key!r} stands twice", "remove one of them")
        frame.key = key
        self.lines[(*frame.place, key)] = line

    def _put(self, frame: _Frame | None, content: Any, line: int) -> Place:
        if frame is None:
            self.content = content
            self.lines[()] = line
            return ()
        if isinstance(frame.content, list):
            place: Place = (*frame.place, len(frame.content))
            frame.content.append(content)
            self.lines[place] = line
        else:
            place = (*frame.place, str(frame.key))
            frame.content[str(frame.key)] = content
            frame.key = None
        if len(self.lines) > LIMIT_NODES:
            self._refuse(line, "too many entries", f"at most {LIMIT_NODES:,}")
        return place

    def _refuse(self, line: int, what: str, hint: str) -> None:
        raise NoticeMalformed([Problem(self.path, line, what, hint)])


def _plain(text: str) -> Any:
    if text.lower() in _PLAIN:
        return _PLAIN[text.lower()]
    return int(text) if _WHOLE.fullmatch(text) else text
