"""Whether the database itself keeps organisations apart: its catalogue, and a try.

The catalogue is held against the one that the program ships (`catalogue.json`), object by object: policies, owners,
grants, roles, functions, triggers, views and settings. Then the doors' own role tries to read, from one organisation
and from none, rows that another one has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import UUID

from troth.kit.db import Database, Space
from troth.proofs import catalogue_store, store
from troth.proofs.model import Checked

MEASURE: Final = "apart"
SHIPPED: Final = Path(__file__).with_name("catalogue.json")
AGAIN: Final = "run `make catalogue`"

Catalogue = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Probe:
    """What the doors' role could read of others.

    Attributes:
        tables: How many tables were tried.
        rows: How many rows of one organisation were looked for from another one and from none.
        foreign: Tables whose rows another organisation could read.
        unowned: Tables whose rows could be read without any organisation.
    """

    tables: int
    rows: int
    foreign: tuple[str, ...] = ()
    unowned: tuple[str, ...] = ()


async def look(database: Database) -> list[Checked]:
    """Hold the catalogue against the shipped one, and try.

    Args:
        database: As `troth_app`.
    """
    async with database.transaction(None) as connection:
        found = await catalogue_store.read(connection)
    return [compared(shipped(), found), tried(await probe(database))]


def compared(expected: Catalogue, found: Catalogue) -> Checked:
    """Name the first object that is not as the program ships it."""
    different = differences(expected, found)
    if different:
        more = f", and {len(different) - 1} more" if len(different) > 1 else ""
        return Checked(MEASURE, False, f"the database is not as the program made it: {different[0]}{more}")
    objects = sum(len(lines) for lines in expected.values())
    return Checked(
        MEASURE, True, f"{objects} objects of the database are as the program ships them ({digest(expected)[:12]})"
    )


def tried(found: Probe) -> Checked:
    """Say what the try gave."""
    if found.foreign:
        return Checked(MEASURE, False, f"one organisation reads another's rows: {', '.join(found.foreign)}")
    if found.unowned:
        return Checked(MEASURE, False, f"rows can be read without an organisation: {', '.join(found.unowned)}")
    if not found.rows:
        return Checked(MEASURE, None, "there are no two organisations yet with anything to keep apart")
    return Checked(
        MEASURE, True, f"{found.rows} rows in {found.tables} tables were looked for from elsewhere, and none was found"
    )


def differences(expected: Catalogue, found: Catalogue) -> list[str]:
    """What is there and should not be, and what should be and is not; what was added comes first."""
    added, missing = [], []
    for kind in sorted({*expected, *found}):
        shipped_lines, found_lines = set(expected.get(kind, ())), set(found.get(kind, ()))
        added += [f"{kind} {line}" for line in sorted(found_lines - shipped_lines)]
        missing += [f"{kind} {line} is missing" for line in sorted(shipped_lines - found_lines)]
    return [*added, *missing]


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The catalogue of a freshly migrated database, as the program ships it."""
    content: Catalogue = json.loads(SHIPPED.read_text())
    return content


def digest(catalogue: Catalogue) -> str:
    """SHA-256 of a catalogue, hexadecimal."""
    return hashlib.sha256(written(catalogue).encode()).hexdigest()


def written(catalogue: Catalogue) -> str:
    """A catalogue as it is kept: one line for each object, so that changes are read one by one."""
    return json.dumps(catalogue, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


async def probe(database: Database) -> Probe:
    """Try to read rows of two organisations, each from the other one and from none.

    Args:
        database: As `troth_app`.
    """
    async with database.transaction(None) as connection:
        tenants = (await store.tenants(connection))[:2]
        tables = await catalogue_store.tables(connection)
    held: dict[tuple[UUID, str], list[str]] = {}
    for tenant in tenants:
        async with database.transaction(Space(tenant)) as connection:
            for table in tables:
                held[tenant, table] = await catalogue_store.places(connection, table, tenant)
    foreign: set[str] = set()
    unowned: set[str] = set()
    for scope in (*tenants, None):
        async with database.transaction(Space(scope)) as connection:
            for (tenant, table), at in held.items():
                if at and tenant != scope and await catalogue_store.seen(connection, table, at):
                    (unowned if scope is None else foreign).add(table)
    rows = sum(len(at) for at in held.values()) if len(tenants) > 1 else 0
    return Probe(len({table for _, table in held}), rows, tuple(sorted(foreign)), tuple(sorted(unowned)))
