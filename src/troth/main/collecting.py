"""Everything that this program has by which something about people comes in, is kept or is done."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from troth.doors import web
from troth.notice import Collecting, Notice, Problem, coverage

COLUMNS: Final = Path(__file__).with_name("columns.yaml")

TABLES: Final = Path(__file__).with_name("tables.json")
"""The columns that the migrations make (`make catalogue`); a test holds it against a database."""

ROUTES: Final = Path(web.__file__).with_name("app.py")

LISTENERS: Final = (
    Collecting("listener", "pages", "portal"),
    Collecting("listener", "viewer", "viewer", by=("retrieve",)),
    Collecting("listener", "DICOMweb", "dicomweb", {"instances": "images"}, by=("store", "retrieve")),
    Collecting("listener", "REST", "rest", by=("follow",)),
    Collecting("listener", "DICOM", "dimse", {"instances": "images"}, by=("store", "retrieve")),
)
"""What listens. Each is started by `main.parts`."""

JOBS: Final[Mapping[str, Collecting]] = {
    "rights.fulfil": Collecting("job", "rights.fulfil", parts={"rights.fulfil": "requests"}),
    "rights.expire": Collecting("job", "rights.expire", parts={"rights.expire": "requests"}),
    "people.take": Collecting("job", "people.take", parts={"people.take": "contacts"}, by=("bring_people",)),
    "outreach.introduce": Collecting(
        "job", "outreach.introduce", parts={"outreach.introduce": "contacts"}, by=("bring_people",)
    ),
    "lifecycle.dispose": Collecting(
        "job", "lifecycle.dispose", parts={"lifecycle.dispose": "contacts"}, by=("dispose",)
    ),
    "lifecycle.look_for_unused": Collecting(
        "job", "lifecycle.look_for_unused", parts={"lifecycle.look_for_unused": "account"}, by=("propose",)
    ),
    "outreach.tell": Collecting("job", "outreach.tell", parts={"outreach.tell": "mail"}),
}
"""Durable work, by the name under which the worker registers it; a test compares the two."""

_CATALOGUE = """
select r.relname as name, a.attname as part
from pg_class r
join pg_namespace n on n.oid = r.relnamespace
join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where n.nspname = 'public' and r.relkind in ('r', 'p') and not r.relispartition and r.relname <> 'alembic_version'
  and (t.typname in ('text', 'bytea', 'jsonb', 'json', 'inet', 'varchar', '_text', '_bytea')
       or a.attname = 'token' or a.attname like '%\\_token')
order by 1, a.attnum
"""


def program() -> list[Collecting]:
    """Forms, cookies, listeners and jobs."""
    return [*web.collecting(), *LISTENERS, *JOBS.values()]


def surfaces(notices: Sequence[Notice]) -> list[str]:
    """The surfaces by which anything can come in under these notices: where no clause grants the action, none does.

    Args:
        notices: Of one deployment.
    """
    granted = {
        name for notice in notices for clause in notice.all("purpose") for access in getattr(clause, "access", ())
        for name in access.does
    }  # fmt: skip
    return sorted({each.surface for each in program() if each.surface and (not each.by or granted & set(each.by))})


def tables(file: Path = COLUMNS) -> list[Collecting]:
    """The tables of the database, with what each column is said to hold."""
    return [
        Collecting("column", name, parts=dict(said.get("holds", {})), by=tuple(said.get("by", ())))
        for name, said in _said(file).items()
    ]


def uncovered(notices: Sequence[Notice]) -> list[Problem]:
    """What the program collects and no clause of these notices covers: with them it would not start.

    Args:
        notices: Of one deployment.
    """
    return coverage(notices, [*program(), *tables()])


def undeclared(tables: Path = TABLES, columns: Path = COLUMNS, routes: Path = ROUTES) -> list[Problem]:
    """The columns and forms of this program of which nobody says what they take: read from files, nothing is started.

    Args:
        tables: The columns that the migrations make.
        columns: What each is said to hold.
        routes: Source of the application with the forms.
    """
    made = [(name, part) for name, parts in json.loads(tables.read_text("utf-8")).items() for part in parts]
    hint = "say in troth/doors/web/declared.py on which surface it stands and what each field takes"
    forms = [
        Problem(routes.name, 1, f"the form at {path} is not declared", hint)
        for path in web.undeclared(_posted(routes.read_text("utf-8")))
    ]
    return [*_unsaid(made, columns), *forms]


def unsaid(dsn: str, file: Path = COLUMNS) -> Iterator[Problem]:
    """The columns of a database of which nobody says what they hold.

    Args:
        dsn: Of the database, as its owner.
        file: Where it is said.
    """
    yield from _unsaid(columns_of(dsn), file)


def columns_of(dsn: str) -> list[tuple[str, str]]:
    """The columns of a database that can hold words or bytes, each with its table.

    Args:
        dsn: Of the database, as its owner.
    """
    import psycopg  # a check of notices works without it

    with psycopg.connect(dsn) as connection:
        return [(str(name), str(part)) for name, part in connection.execute(_CATALOGUE)]


def _unsaid(columns: Sequence[tuple[str, str]], file: Path) -> Iterator[Problem]:
    said = {name: {*each.get("holds", {}), *each.get("clear", ())} for name, each in _said(file).items()}
    for name, part in columns:
        if part not in said.get(name, ()):
            what = f"the column {part!r} of the table {name!r} is not said to hold anything"
            yield Problem(file.name, 1, what, "put it under holds, with what it holds, or under clear")


def _posted(source: str) -> Iterator[str]:
    """The routes that take a form, as a source writes them; a path that is put together is looked at by the start."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Route":
            path = node.args[0] if node.args else None
            takes = any(each.arg == "methods" for each in node.keywords)
            if takes and isinstance(path, ast.Constant) and isinstance(path.value, str):
                yield path.value


def _said(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return content
