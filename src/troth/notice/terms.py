"""From typed clauses to a JSON Schema and back: one declaration gives the model, its reader and the editor's help."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from datetime import date
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from troth.notice.period import Period

T = TypeVar("T")

SLUG = r"^[a-z][a-z0-9_]{0,63}$"
TEXT = r"^[^<>\u0000-\u0008\u000b-\u001f]{1,2000}$"
DAY = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"


def term(
    description: str,
    *,
    default: Any = MISSING,
    pattern: str | None = None,
    choices: Iterable[str] | None = None,
    least: int = 0,
    name: str | None = None,
) -> Any:
    """A field of a clause, as the author of a notice writes it.

    Args:
        description: What it means, for the author; shown by editors.
        default: Value when left out; without one the field is required.
        pattern: Regular expression for texts; the default takes any text without markup.
        choices: The only values that are known.
        least: Fewest entries of a list.
        name: Key in the file where it differs, such as `for`, which Python reserves.
    """
    metadata = {
        "description": description,
        "pattern": pattern,
        "choices": tuple(choices) if choices is not None else None,
        "least": least,
        "name": name,
    }
    return field(default=default, metadata=metadata)


def key_of(part: Field[Any]) -> str:
    """The key under which a field stands in the file."""
    return str(part.metadata.get("name") or part.name)


def schema_of(model: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a declared model.

    Args:
        model: A dataclass whose fields are declared with `term`.
    """
    hints = _hints(model)
    said = [part for part in fields(model) if "description" in part.metadata]
    return {
        "type": "object",
        "properties": {key_of(part): _schema(hints[part.name], part.metadata) for part in said},
        "required": [key_of(part) for part in said if part.default is MISSING],
        "additionalProperties": False,
    }


def build(model: type[T], content: Mapping[str, Any], **further: Any) -> T:
    """Make a model from content that its schema has accepted.

    Args:
        model: A dataclass whose fields are declared with `term`.
        content: Plain content, as read.
        further: Fields that do not stand in the file.

    Raises:
        ValueError: A date or period that its pattern accepts and the calendar does not.
    """
    hints = _hints(model)
    values = {
        part.name: _value(hints[part.name], content[key_of(part)])
        for part in fields(model)  # type: ignore[arg-type]
        if "description" in part.metadata and key_of(part) in content
    }
    return model(**values, **further)


_HINTS: dict[Any, dict[str, Any]] = {}


def _hints(model: Any) -> dict[str, Any]:
    if model not in _HINTS:
        _HINTS[model] = get_type_hints(model)
    return _HINTS[model]


def _schema(hint: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": metadata["description"]} if "description" in metadata else {}
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [_schema(part, metadata) for part in get_args(hint) if part is not types.NoneType]
        merged = {key: value for kind in kinds for key, value in kind.items()}
        return merged if len(kinds) == 1 else {**merged, "type": [kind["type"] for kind in kinds]}
    if get_origin(hint) is tuple:
        inner = _schema(get_args(hint)[0], {**metadata, "least": 0})
        inner.pop("description", None)
        return {"type": "array", "items": inner, "minItems": metadata["least"], "maxItems": 200, **described}
    if get_origin(hint) is Literal:
        return {"enum": list(get_args(hint)), **described}
    if is_dataclass(hint) and hint is not Period:
        return {**schema_of(cast(type[Any], hint)), **described}
    if hint is bool:
        return {"type": "boolean", **described}
    if hint is int:
        return {"type": "integer", "minimum": 0, **described}
    if metadata.get("choices") is not None:
        return {"enum": list(metadata["choices"]), **described}
    standard = {date: DAY, Period: Period.PATTERN}.get(hint, TEXT)
    return {"type": "string", "pattern": metadata.get("pattern") or standard, **described}


def _value(hint: Any, content: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [part for part in get_args(hint) if part is not types.NoneType]
        return _value(next(part for part in kinds if part is not bool or isinstance(content, bool)), content)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in content)
    if hint is Period:
        return Period.parse(content)
    if hint is date:
        return date.fromisoformat(content)
    if is_dataclass(hint):
        return build(hint, content)  # type: ignore[arg-type]
    return content.strip() if isinstance(content, str) else content
