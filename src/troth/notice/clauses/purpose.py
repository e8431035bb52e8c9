"""An activity: what we do, why, on which basis, with which data, for whom, for how long; and who may do what in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from troth.notice import cedar, law, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term

_HERE = (
    "principal has tenant && resource has tenant && principal.tenant == resource.tenant "
    '&& (principal.kind == "system" || context.is_member)'
)
_WITHIN = {
    "own_organisation": _HERE,
    "own_subject": f"{_HERE} && principal has subject && resource has subject && principal.subject == resource.subject",
    "own_request": 'principal.kind == "system" && resource has request',
    "deployment": 'principal.kind == "system" && !(principal has tenant)',
    "everywhere": "true",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may do what within an activity."""

    who: tuple[str, ...] = term("Roles", choices=vocabulary.ROLES, least=1)
    does: tuple[str, ...] = term("Actions", choices=vocabulary.ACTIONS, least=1)
    about: tuple[str, ...] = term("Kinds of thing it is done to", choices=vocabulary.TARGETS, least=1)
    within: str = term("How far it reaches", choices=vocabulary.WITHIN)
    requires: tuple[str, ...] = term("Facts that must hold at that moment", choices=vocabulary.CLAIMS, default=())
    lets_in: tuple[str, ...] = term("Roles that they may let people into", choices=vocabulary.ROLES, default=())


@clause("purpose", "An activity: why we use data, on which basis, and who may do what for it. Nothing else is allowed.")
class Purpose(Clause):
    """An activity of the register of processing (GDPR Art. 30). Its key is the purpose that every access names."""

    key: str = term("The purpose, as every access has to name it", pattern=SLUG)
    basis: str = term("Lawful basis, GDPR Art. 6(1)", choices=law.BASES)
    condition: str = term("Condition for health data, GDPR Art. 9(2)", choices=law.CONDITIONS, default="")
    categories: tuple[str, ...] = term("Keys of the categories of data it uses", pattern=SLUG, least=1)
    recipients: tuple[str, ...] = term("Keys of the recipients it gives data to", pattern=SLUG, default=())
    retention: tuple[str, ...] = term("Keys of the retention rules that end it", pattern=SLUG, least=1)
    regions: tuple[str, ...] = term("Where, by ISO 3166 code", choices=sorted(vocabulary.COUNTRIES), least=1)
    capacity: Literal["controller", "processor"] = term("Whether we decide ourselves or work on instruction")
    automation: Literal["none", "advice"] = term("Whether a program advises a person; none decides", default="none")
    access: tuple[Access, ...] = term("Who may do what; left out, nobody may do anything for it", default=())

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """One policy per access and role that a recipient clause, and for a processor an instruction, carries."""
        if self.capacity == "processor" and not self._instructed(notice):
            return
        for access in self.access:
            for role in access.who:
                under = self._recipients_of(role, notice)
                if under or role == vocabulary.ANYBODY:
                    for about, does in _by_target(access):
                        yield self._policy(access, role, under, about, does, notice)

    def _policy(
        self,
        access: Access,
        role: str,
        under: tuple[str, ...],
        about: frozenset[str],
        does: tuple[str, ...],
        notice: Lookup,
    ) -> Policy:
        conditions = [f"context.purpose == {cedar.text(self.key)}"]
        if role != vocabulary.ANYBODY:
            conditions.append(f"principal.role == {cedar.text(role)}")
        if set(does) & set(vocabulary.LEAVING):
            conditions += _gate(self, notice)
        conditions += [cedar.is_one_of(about), "resource.is_present", _WITHIN[access.within]]
        conditions += [f"context.claims.contains({cedar.text(claim)})" for claim in access.requires]
        if access.lets_in:
            conditions.append(f"context.claims.containsAny({cedar.texts(f'letting:{one}' for one in access.lets_in)})")
        text = (
            f"@id({cedar.text(self.id)})\n"
            f"permit (principal, action in {cedar.actions(does)}, resource)\n"
            f"when {{ {' && '.join(conditions)} }};"
        )
        obligations = tuple(f"region:{region}" for region in self.regions)
        return Policy(
            self.id, text, "permit", under, self.key, law.short(self.basis), obligations,
            role=role, does=does, requires=access.requires,
        )  # fmt: skip

    def _instructed(self, notice: Lookup) -> bool:
        return any(self.key in getattr(found, "purposes", ()) for found in notice.all("instruction"))

    def _recipients_of(self, role: str, notice: Lookup) -> tuple[str, ...]:
        found = (notice.find("recipient", key) for key in self.recipients)
        return tuple(each.id for each in found if each is not None and role in getattr(each, "roles", ()))

    def enforcer(self) -> str:
        """The decision itself: no clause, no permit."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        what = self.key.replace("_", " ")
        return f"each act for {what} names this clause and is one that it grants, by a role that it names"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """Basis, condition, and who may do what."""
        yield Row("Basis", f"{law.BASES[self.basis]} ({law.article(self.basis)})")
        if self.condition:
            yield Row("Health data", f"{law.CONDITIONS[self.condition]} ({law.article(self.condition)})")
        for access in self.access:
            yield Row("Who may", _said(access))
        if not self.access:
            yield Row("What stops us", "nobody can do anything for this purpose at present; every attempt is refused")
        else:
            yield Row("What stops us", "nothing opens without a purpose; any other purpose, place or person is refused")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """A way to do each action that it grants, and somebody who states the facts that it requires."""
        for access in self.access:
            for name in access.does:
                lacks = f"there is no way to {vocabulary.ACTIONS[name].words.rstrip(',')} here"
                yield Need("act", name, name, lacks)
            for claim in access.requires:
                yield Need("claim", claim, claim, f"nobody can state here that {vocabulary.CLAIMS[claim]}")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """References, coverage of roles by recipients, the condition for health data, the instruction."""
        for kind, keys in (
            ("category", self.categories),
            ("recipient", self.recipients),
            ("retention", self.retention),
        ):
            for key in keys:
                if notice.find(kind, key) is None:
                    known = ", ".join(found.key for found in notice.all(kind) if found.key) or "none"
                    yield Fault(
                        f"the {kind} {key!r} is not in this notice", f"add a {kind} clause or use one of: {known}"
                    )
        special = [key for key in self.categories if getattr(notice.find("category", key), "is_special", False)]
        if special and not self.condition:
            yield Fault(
                f"{special[0]!r} is health data and the activity has no condition",
                "add condition: eu-gdpr:A9-2-h, or another of GDPR Art. 9(2)",
            )
        if self.capacity == "processor" and not self._instructed(notice):
            yield Fault(
                "a processor's activity without an instruction",
                f"list {self.key!r} under purposes of an instruction clause",
            )
        for access in self.access:
            yield from self._access_faults(access, notice)

    def _access_faults(self, access: Access, notice: Lookup) -> Iterator[Fault]:
        for role in access.who:
            if role != vocabulary.ANYBODY and not self._recipients_of(role, notice):
                yield Fault(
                    f"the role {role!r} gets data that no recipient clause of this activity gives it",
                    "add a recipient with this role and list its key under recipients",
                )
        if (vocabulary.LETTING in access.does) is not bool(access.lets_in):
            yield Fault(f"{vocabulary.LETTING!r} and the roles that people are let into go together", "add lets_in")
        for name in access.does:
            if not vocabulary.ACTIONS[name].about & set(access.about):
                kinds = ", ".join(sorted(vocabulary.ACTIONS[name].about))
                yield Fault(f"{name!r} cannot be done to {', '.join(access.about)}", f"it is done to: {kinds}")


def _by_target(access: Access) -> list[tuple[frozenset[str], tuple[str, ...]]]:
    """The actions of an access, together where they are done to the same kinds of target under the same conditions."""
    found: dict[tuple[frozenset[str], bool], list[str]] = {}
    for name in access.does:
        about = vocabulary.ACTIONS[name].about & frozenset(access.about)
        if about:
            found.setdefault((about, name in vocabulary.LEAVING), []).append(name)
    return [(about, tuple(names)) for (about, _), names in found.items()]


def _gate(activity: Purpose, notice: Lookup) -> list[str]:
    """What leaves goes to a recipient of the activity, and is of its categories."""
    outside = [
        f"recipient:{key}" for key in activity.recipients if getattr(notice.find("recipient", key), "is_outside", False)
    ]
    others = [f"category:{found.key}" for found in notice.all("category") if found.key not in activity.categories]
    said = [f"context.claims.containsAny({cedar.texts(outside)})" if outside else "false"]
    said.append(f"context.claims.containsAny({cedar.texts(f'category:{key}' for key in activity.categories)})")
    if others:
        said.append(f"!context.claims.containsAny({cedar.texts(others)})")
    return said


def _said(access: Access) -> str:
    who = ", ".join(vocabulary.ROLES[role][0] for role in access.who)
    does = ", ".join(vocabulary.ACTIONS[action].words for action in access.does)
    into = f" as {' or '.join(vocabulary.ROLES[role][0] for role in access.lets_in)}" if access.lets_in else ""
    requires = "".join(f", and only if {vocabulary.CLAIMS[claim]}" for claim in access.requires)
    return f"{who}: {does}{into}; {vocabulary.WITHIN[access.within]}{requires}"
