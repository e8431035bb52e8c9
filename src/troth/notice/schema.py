"""The JSON Schema of a notice, made from the kinds of clause; `schema.json` is the copy that editors read.

python -m troth.notice.schema     writes the copy anew; a test compares the two
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from troth.notice.clauses import registry
from troth.notice.model import Head
from troth.notice.terms import TEXT, schema_of

COPY = Path(__file__).with_name("schema.json")


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of a notice."""
    kinds = registry()
    head = schema_of(Head)
    section = {
        "type": "object",
        "properties": {
            "number": {"type": "integer", "minimum": 1, "maximum": 999, "description": "Number of the section"},
            "title": {"type": "string", "pattern": TEXT, "description": "Heading of the section"},
            "clauses": {"type": "array", "minItems": 1, "maxItems": 200, "items": {"$ref": "#/$defs/clause"}},
        },
        "required": ["number", "title", "clauses"],
        "additionalProperties": False,
    }
    definitions = {name: _clause_schema(name, kinds[name]) for name in kinds}
    chosen = {
        "type": "object",
        "properties": {"kind": {"enum": list(kinds), "description": "What kind of promise it is"}},
        "required": ["kind"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in kinds
        ],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A privacy notice of Troth",
        "description": "What a platform promises about personal data, as data.",
        **head,
        "properties": {
            **head["properties"],
            "sections": {
                "type": "array",
                "minItems": 1,
                "maxItems": 100,
                "items": section,
                "description": "The sections",
            },
        },
        "required": [*head["required"], "sections"],
        "$defs": {"clause": chosen, **definitions},
    }


def _clause_schema(name: str, kind: type[Any]) -> dict[str, Any]:
    made = schema_of(kind)
    made["properties"] = {"kind": {"const": name}, **made["properties"]}
    return {"title": name, "description": kind.about, **made}


def as_text() -> str:
    """The schema as the copy holds it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def write() -> None:
    """Write the copy anew, after a kind of clause has changed."""
    COPY.write_text(as_text(), encoding="utf-8")
