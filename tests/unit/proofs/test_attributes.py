"""The looks ask clauses for what those have: a word that no clause of that kind has would be empty for ever."""

from __future__ import annotations

import builtins
import importlib
import pkgutil
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.common.book import NOTICES, notices
from troth import proofs
from troth.notice import Clause
from troth.proofs import looks
from troth.proofs.looks.base import Text
from troth.proofs.service import measures_of

#: Asked of every clause: those of each kind that a live check bears on have it.
OF_ANY = frozenset({"measure"})


@pytest.mark.parametrize("name", sorted(path.name for path in NOTICES.iterdir() if path.is_dir()))
def test_every_look_asks_a_clause_for_what_it_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def strict(thing: object, attribute: str, *default: Any) -> Any:
        if isinstance(thing, Clause):
            asked.append((thing.kind, attribute))
            if attribute not in OF_ANY:
                return builtins.getattr(thing, attribute)
        return builtins.getattr(thing, attribute, *default)

    for found in pkgutil.walk_packages(proofs.__path__, f"{proofs.__name__}."):
        monkeypatch.setattr(importlib.import_module(found.name), "getattr", strict, raising=False)
    held = notices(name)
    text = Text(held, held)
    made = looks.Looks(text).found(datetime(2026, 11, 30, tzinfo=UTC))
    assert set(made) == {(notice.name, clause.id) for notice in held for clause in notice.clauses}
    for notice in held:
        for clause in notice.clauses:
            measures_of(clause)
            text.grants(clause.key)
    assert len(set(asked)) > 10
