"""What each shipped notice is expected to decide, written by hand from its sentences: `tests/promises/expected/`.

A file of that folder has the name of a folder of `notices/`:

    always: [instruction:standing_order]        # claims of every row, if any
    allowed:
      - {who: clinician, for: diagnosis, may: {query: organisation study subject, retrieve: study}}
      - {who: support, for: support, given: [support_grant], may: {retrieve: study}}
      - {who: office, for: rights, may: {decide_request: request}, by: "24.4"}      # this clause allows it as well
    forbidden:                                  # and by which clause
      - {who: clinician, for: care, does: retrieve, to: study, is_restricted: true, by: "9.4"}
      - {who: clinician, for: care, does: disclose, to: study, each: ["to:US", "to:CN"], by: "7.1"}
    refused:                                    # because nothing allows it
      - {who: support, for: support, may_not: {retrieve: study}}

`who` is a role; `platform` stands for an operator outside every organisation, `elsewhere` for a clinician of another
organisation, `anybody` for nobody in particular. `to` is a kind of target in the organisation (about the patient);
`own_account` is the subject that a member of staff is, `own_notice` and `own_platform` are the notice and the platform
as an organisation sees them.

Facts are `is_member`, `session_alive`, `is_restricted`, `is_held`, `region`, `given` (claims), `without` (of `always`),
and `each` (one row per claim).

What is allowed has its refusal beside it, on the same set-up but for one fact, so that none passes for a wrong reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from ruamel.yaml import YAML

from troth import notice
from troth.notice import notice_files
from troth.policy import Actor, FactSet, Target
from troth.policy.decision import Decider, Verdict

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "promises" / "expected"

_SPACE = UUID("7f7e7d6c-2f0e-4a43-8f5b-0f1f5a7f2a10")
HERE, THERE, SUBJECT, SELF = (uuid5(_SPACE, name) for name in ("here", "there", "subject", "self"))
_KINDS: dict[str, Any] = {"patient": "patient", "peer": "peer", "worker": "system", "operator": "system"}
_FACTS = ("is_member", "session_alive", "is_restricted", "is_held", "region")
_GOOD = FactSet(is_member=True, session_alive=True)


@dataclass(frozen=True)
class Expected:
    """One question, and the answer that the notice's sentences give.

    Attributes:
        is_allowed: Whether it may be done.
        by: The clause that allows or forbids it; empty where the sentences leave open which.
    """

    who: str
    action: str
    to: str
    purpose: str
    facts: FactSet
    is_allowed: bool
    by: str = ""

    def __str__(self) -> str:
        claims = f" given {', '.join(sorted(self.facts.claims))}" if self.facts.claims else ""
        outcome = f"{'allowed' if self.is_allowed else 'refused'}{f' by {self.by}' if self.by else ''}"
        return f"{self.who} {self.action} {self.to} for {self.purpose}{claims}: {outcome}"

    def verdict(self, decider: Decider) -> Verdict:
        """What a notice decides."""
        return decider.decide(
            _actor(self.who), self.action, _target(self.to, self.who), self.purpose, self.facts, explain=False
        )

    def is_met(self, decider: Decider) -> bool:
        """Whether a decision is the expected one."""
        verdict = self.verdict(decider)
        named = verdict.allowed_by if self.is_allowed else verdict.forbidden_by
        if verdict.is_allowed != self.is_allowed:
            return False
        return self.by in named if self.by else self.is_allowed or not named


def of_notice(name: str) -> list[Expected]:
    """What is expected of a notice.

    Args:
        name: Folder of `notices/`.
    """
    content = YAML(typ="safe").load((FOLDER / f"{name}.yaml").read_text())
    always = frozenset(content.get("always", ()))
    return [
        *_each_action(content["allowed"], "may", always),
        *_each_action(content.get("refused", ()), "may_not", always),
        *_forbidden(content.get("forbidden", ()), always),
    ]


def names() -> list[str]:
    """The notices of which something is expected."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def compiled(name: str) -> notice.Compiled:
    """The notices of a folder, compiled."""
    return notice.compile([notice.load(path) for path in notice_files([ROOT / "notices" / name])])


def _each_action(entries: Iterable[Any], word: str, always: frozenset[str]) -> Iterator[Expected]:
    for entry in entries:
        for action, kinds in entry[word].items():
            for kind in kinds.split():
                yield Expected(
                    entry["who"],
                    action,
                    kind,
                    entry["for"],
                    _facts(entry, always),
                    is_allowed=word == "may",
                    by=entry.get("by", ""),
                )


def _forbidden(entries: Iterable[Any], always: frozenset[str]) -> Iterator[Expected]:
    for entry in entries:
        facts = _facts(entry, always)
        for claim in entry.get("each", [None]):
            given = replace(facts, claims=facts.claims | {claim}) if claim else facts
            yield Expected(
                entry["who"], entry["does"], entry["to"], entry["for"], given, is_allowed=False, by=str(entry["by"])
            )


def _facts(entry: Any, always: frozenset[str]) -> FactSet:
    given = (always | set(entry.get("given", ()))) - set(entry.get("without", ()))
    return replace(_GOOD, claims=frozenset(given), **{name: entry[name] for name in _FACTS if name in entry})


def _actor(who: str) -> Actor:
    match who:
        case "platform":
            return Actor("system", SELF, None, "operator")
        case "anybody":
            return Actor("anonymous")
        case "elsewhere":
            return Actor("user", SELF, THERE, "clinician")
    subject = SUBJECT if who == "patient" else None
    return Actor(_KINDS.get(who, "user"), SELF, HERE, who, subject)


def _target(kind: str, who: str) -> Target:
    if kind in ("platform", "notice") or (who == "platform" and kind == "ledger"):
        return Target(kind)
    if kind in ("organisation", "ledger"):
        return Target(kind, HERE, HERE)
    if kind == "own_notice":
        return Target("notice", None, HERE)
    if kind == "own_platform":
        return Target("platform", None, HERE)
    if kind == "own_account":
        return Target("subject", SELF, HERE, SELF)
    about = (("request", str(uuid5(_SPACE, "request"))),) if who == "worker" else ()
    return Target(kind, uuid5(_SPACE, kind), HERE, SUBJECT, attributes=about)
