"""The organisations that a deployment starts with: `organisations.yaml` beside its notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from troth.notice import reading, vocabulary
from troth.notice.errors import NoticeInvalid
from troth.notice.problem import Problem


@dataclass(frozen=True, slots=True)
class Seed:
    """An organisation to be added at the first start."""

    name: str
    capacity: str
    region: str


def seeds(folder: Path | str) -> tuple[Seed, ...]:
    """The organisations of a deployment folder; none where the file is missing.

    Args:
        folder: The folder with `notice.yaml`.

    Raises:
        NoticeInvalid: The file says something else than a list of organisations.
    """
    file = Path(folder) / "organisations.yaml"
    if not file.exists():
        return ()
    page = reading.read(file)
    content = page.content if isinstance(page.content, dict) else {}
    found = []
    for position, entry in enumerate(content.get("organisations") or [None]):
        line = page.line(("organisations", position))
        if not isinstance(entry, dict) or set(entry) != {"name", "capacity", "region"}:
            raise NoticeInvalid([Problem(str(file), line, "not an organisation", "give name, capacity and region")])
        if entry["capacity"] not in ("controller", "processor") or entry["region"] not in vocabulary.COUNTRIES:
            hint = "capacity is controller or processor, region an ISO 3166 code"
            raise NoticeInvalid([Problem(str(file), line, "unknown capacity or region", hint)])
        found.append(Seed(str(entry["name"]), entry["capacity"], entry["region"]))
    return tuple(found)
