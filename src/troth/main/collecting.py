"""Everything that this program has by which something about people comes in, is kept or is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from ruamel.yaml import YAML

from troth.doors import web
from troth.notice import Collecting, Notice, Problem, coverage

COLUMNS: Final = Path(__file__).with_name("columns.yaml")

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


def unsaid(dsn: str, file: Path = COLUMNS) -> Iterator[Problem]:
    """The columns of a database of which nobody says what they hold.

    Args:
        dsn: Of the database, as its owner.
        file: Where it is said.
    """
    said = {name: {*each.get("holds", {}), *each.get("clear", ())} for name, each in _said(file).items()}
    with psycopg.connect(dsn) as connection:
        for name, part in connection.execute(_CATALOGUE):
            if part not in said.get(name, ()):
                what = f"the column {part!r} of the table {name!r} is not said to hold anything"
                yield Problem(file.name, 1, what, "put it under holds, with what it holds, or under clear")


def _said(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return content
