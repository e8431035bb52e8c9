"""Leaves, written one after another as rooms write them, and what the looks of a deployment's notices find in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from troth.notice import Notice, load_all
from troth.proofs import Finding, Verdict
from troth.proofs.looks import Looks, Text

NOTICES = Path(__file__).parents[2] / "notices"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUSE = str(uuid4())
KEPT, BROKEN, IDLE = Verdict.HOLDS, Verdict.BROKEN, Verdict.IDLE


@cache
def notices(name: str) -> tuple[Notice, ...]:
    return tuple(load_all([NOTICES / name]))


class Book:
    """Leaves, written one after another."""

    def __init__(self, deployment: str = "imaging-cloud") -> None:
        self.notices = current = notices(deployment)
        self.looks = Looks(Text(current, current))
        self.now = START
        self._index = count()

    def write(self, kind: str, **said: Any) -> int:
        index = next(self._index)
        refs = [[noun, str(each)] for noun, each in said.pop("refs", {}).items()]
        leaf = {
            "v": 2, "index": index, "id": str(uuid4()), "tenant": HOUSE, "kind": kind, "actor_id": None,
            "actor_kind": "user", "role": "clinician", "subject_id": None, "study_id": None, "purpose": "",
            "clauses": [], "decision_id": str(uuid4()), "outcome": "done", "counts": {}, "refs": refs,
            "at": self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), **said,
        }  # fmt: skip
        self.looks.see(json.dumps(leaf).encode())
        return index

    def pass_(self, **time: int) -> None:
        self.now += timedelta(**time)

    def found(self, clause: str, look: str = "", notice: str = "") -> Finding:
        held = self.looks.found(self.now)
        some = [
            each
            for (name, number), findings in held.items()
            for each in findings
            if number == clause and (not notice or name == notice) and (not look or each.look == look)
        ]
        assert len(some) == 1, some
        return some[0]


def day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def viewing(role: str = "clinician", purpose: str = "diagnosis", clause: str = "4.1", **more: Any) -> dict[str, Any]:
    return {
        "role": role, "purpose": purpose, "clauses": [clause, "5.1"], "action": "retrieve", "actor_id": str(uuid4()),
        "subject_id": str(uuid4()), "study_id": str(uuid4()), **more,
    }  # fmt: skip
