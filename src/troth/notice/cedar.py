"""Cedar text: quoting, and the schema of what a decision sees."""

from __future__ import annotations

import json
from collections.abc import Iterable

from troth.notice import vocabulary


def text(value: str) -> str:
    """A Cedar string. Clause words are slugs; anything else is escaped all the same."""
    return json.dumps(value, ensure_ascii=False)


def texts(values: Iterable[str]) -> str:
    """A Cedar set of strings, in order."""
    return "[" + ", ".join(text(value) for value in sorted(values)) + "]"


def actions(names: Iterable[str]) -> str:
    """A Cedar set of actions, in order."""
    return "[" + ", ".join(f"Action::{text(name)}" for name in sorted(names)) + "]"


def is_one_of(kinds: Iterable[str]) -> str:
    """A Cedar condition: the target is of one of these kinds."""
    return "(" + " || ".join(f"resource is {vocabulary.TARGETS[kind]}" for kind in sorted(kinds)) + ")"


def schema() -> str:
    """The Cedar schema: one principal type, a resource type per kind of target, an action per verb.

    Roles are attributes and not parents, so that a decision needs no entity graph beyond the two that act in it.
    """
    lines = [
        "entity Actor = { kind: String, role: String, tenant?: String, subject?: String };",
        "entity " + ", ".join(sorted(vocabulary.TARGETS.values())) + " = {",
        "  is_present: Bool, is_restricted: Bool, tenant?: String, subject?: String, request?: String",
        "};",
        "type Moment = {",
        "  purpose: String, is_member: Bool, session_alive: Bool, is_restricted: Bool, is_held: Bool,",
        "  region: String, claims: Set<String>",
        "};",
    ]
    for name, action in sorted(vocabulary.ACTIONS.items()):
        kinds = ", ".join(vocabulary.TARGETS[kind] for kind in sorted(action.about))
        lines.append(f"action {text(name)} appliesTo {{ principal: [Actor], resource: [{kinds}], context: Moment }};")
    return "\n".join(lines) + "\n"
