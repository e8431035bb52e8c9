"""A report as it is stored and read back: plain content, the same bytes for the same findings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from troth.proofs.model import Checked, Deep, Departures, Example, Proven, Report, Standing


@dataclass(frozen=True, slots=True)
class Result:
    """What one run found.

    Attributes:
        reports: One for each notice in force.
        departures: What left for somebody outside.
        deep: What was found when all that is held was looked at last.
        is_behind: A notice has changed since; what did not change stands as it was found, and a run is due.
    """

    id: UUID
    reports: tuple[Report, ...]
    departures: Departures
    deep: Deep
    is_behind: bool = False

    def of(self, notice: str) -> Report | None:
        """The report of a notice, or None."""
        return next((each for each in self.reports if each.notice == notice), None)


def as_plain(reports: Sequence[Report], departures: Departures, deep: Deep) -> dict[str, Any]:
    """Reports as JSON knows them."""
    found = {
        "reports": [asdict(each) for each in reports], "departures": asdict(departures), "deep": asdict(deep),
    }  # fmt: skip
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def digest(plain: Mapping[str, Any]) -> bytes:
    """SHA-256 over the canonical bytes of stored results."""
    octets = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(octets).digest()


def read(run_id: UUID, plain: Mapping[str, Any]) -> Result:
    """A result from what is stored.

    Raises:
        KeyError: It has not the form that this program writes.
        ValueError: Likewise.
    """
    left = plain["departures"]
    departures = Departures(**{**left, "at": datetime.fromisoformat(left["at"])})
    deep = Deep(datetime.fromisoformat(plain["deep"]["at"]), tuple(Checked(**each) for each in plain["deep"]["checks"]))
    return Result(run_id, tuple(_report(each) for each in plain["reports"]), departures, deep)


def _report(plain: Mapping[str, Any]) -> Report:
    return Report(
        **{
            **plain,
            "at": datetime.fromisoformat(plain["at"]),
            "promises": tuple(_proven(each) for each in plain["promises"]),
            "safeguards": tuple(Checked(**each) for each in plain["safeguards"]),
        }
    )


def _proven(plain: Mapping[str, Any]) -> Proven:
    return Proven(
        **{
            **plain,
            "promises": tuple(plain["promises"]),
            "standing": Standing(plain["standing"]),
            "lacks": tuple(plain["lacks"]),
            "examples": tuple(_example(each) for each in plain["examples"]),
            "checked": tuple(Checked(**each) for each in plain["checked"]),
            "aside": (Standing(plain["aside"][0]), plain["aside"][1]) if plain["aside"] else None,
        }
    )


def _example(plain: Mapping[str, Any]) -> Example:
    tenant = UUID(plain["tenant"]) if plain["tenant"] else None
    return Example(plain["number"], plain["kind"], datetime.fromisoformat(plain["at"]), tenant)


def outdated(report: Report, why: str) -> Report:
    """A report that says nothing of now any more: what was kept is blind; what was broken stays so.

    Args:
        report: As it was.
        why: In words.
    """
    promises = (
        replace(each, standing=Standing.UNPROVEN, reason=why, is_blind=True, is_idle=False)
        if each.standing in (Standing.KEPT, Standing.UNPROVEN)
        else each
        for each in report.promises
    )
    return replace(report, promises=tuple(promises))
