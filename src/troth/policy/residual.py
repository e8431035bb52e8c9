"""What remains of Cedar policies when everything is known but the row: the condition that a row has to meet.

The same texts that decide are read as the JSON that Cedar itself makes of them, and worked out as far as actor, action
and moment go. Each part is a pair: where it is true, and where Cedar would stop with an error (an attribute that is not
there). A decision refuses where any policy stops with an error, so a list does too. Whatever this reader does not
understand counts as such an error, unless the decision never gets to it.

Per: Cedar 4 policy syntax, JSON policy format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.policy.conditions import FALSE, TRUE, Atom, Condition, all_of, any_of, opposite

FLAGS: Final = frozenset({"is_present", "is_restricted"})
"""Attributes of a target that always have a value, and it is true or false."""

MOMENT: Final = "context."
CLAIM: Final = "claim:"


@dataclass(frozen=True, slots=True)
class Truth:
    """A truth about a row: where it holds, and where it cannot be told."""

    true: Condition
    error: Condition = FALSE

    @property
    def false(self) -> Condition:
        """Where it is told that it does not hold."""
        return all_of([opposite(self.true), opposite(self.error)])


@dataclass(frozen=True, slots=True)
class Known:
    """A value that does not depend on the row: text, whole number, set of those, or an entity as (type, id)."""

    value: Any


@dataclass(frozen=True, slots=True)
class Column:
    """A text of the row that may not be there."""

    name: str


@dataclass(frozen=True, slots=True)
class Claims:
    """The set of claims, some of which depend on the row."""


@dataclass(frozen=True, slots=True)
class Root:
    """Principal, resource or context."""

    name: str


Value = Truth | Known | Column | Claims | Root

YES, NO, ERROR = Truth(TRUE), Truth(FALSE), Truth(FALSE, TRUE)
_OF_ROW = frozenset({"is_restricted", "is_held"})


class Untranslatable(Exception):
    """A construct that this reader does not know."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is known.

    Attributes:
        principal: Attributes of the actor.
        action: The action.
        entity_type: Cedar type of the rows.
        context: The moment; `is_restricted`, `is_held` and `claims` are not looked at, they are asked of the row.
    """

    principal: Mapping[str, Any]
    action: str
    entity_type: str
    context: Mapping[str, Any]

    def of(self, policy: Mapping[str, Any]) -> Truth:
        """Where a policy is satisfied, and where it stops with an error.

        Args:
            policy: As Cedar writes it in JSON; one whose scope has the action in it.
        """
        try:
            if not all(policy[one]["op"] == "All" for one in ("principal", "resource")):
                return ERROR
            result = YES
            for condition in policy["conditions"]:
                if _is_never(result):
                    break
                wanted = self._truth(condition["body"])
                result = _and(result, wanted if condition["kind"] == "when" else _not(wanted))
            return result
        except Untranslatable:
            return ERROR

    def _truth(self, node: Mapping[str, Any]) -> Truth:
        value = self._value(node)
        if not isinstance(value, Truth):
            return ERROR  # Cedar stops where it expected true or false
        return value

    def _value(self, node: Mapping[str, Any]) -> Value:
        [(operator, rest)] = node.items()
        match operator:
            case "Value":
                return _literal(rest)
            case "Var":
                return Known(("Action", self.action)) if rest == "action" else Root(rest)
            case "Set":
                return Known(frozenset(self._known(each) for each in rest))
            case "!":
                return _not(self._truth(rest["arg"]))
            case "&&":
                left = self._truth(rest["left"])
                return left if _is_never(left) else _and(left, self._truth(rest["right"]))
            case "||":
                left = self._truth(rest["left"])
                return left if left == YES else _or(left, self._truth(rest["right"]))
            case "if-then-else":
                return self._choice(rest)
            case "." | "has":
                return self._attribute(self._value(rest["left"]), rest["attr"], operator == "has")
            case "is":
                return self._is(self._value(rest["left"]), rest["entity_type"])
            case "==" | "!=":
                same = _same(self._value(rest["left"]), self._value(rest["right"]))
                return same if operator == "==" else _not(same)
            case "in":
                return self._in(self._value(rest["left"]), self._known(rest["right"]))
            case "contains" | "containsAny" | "containsAll":
                return _contains(operator, self._value(rest["left"]), self._value(rest["right"]))
        raise Untranslatable(operator)

    def _known(self, node: Mapping[str, Any]) -> Any:
        value = self._value(node)
        if not isinstance(value, Known):
            raise Untranslatable
        return value.value

    def _choice(self, rest: Mapping[str, Any]) -> Truth:
        asked = self._truth(rest["if"])
        then, other = _and(asked, self._truth(rest["then"])), _and(_not(asked), self._truth(rest["else"]))
        return Truth(any_of([then.true, other.true]), any_of([then.error, other.error]))

    def _attribute(self, of: Value, name: str, is_has: bool) -> Value:
        match of:
            case Root("resource"):
                if name in FLAGS:
                    return YES if is_has else Truth(Atom(name, "true"))
                return Truth(Atom(name, "present")) if is_has else Column(name)
            case Root("context") if name in _OF_ROW:
                return YES if is_has else Truth(Atom(MOMENT + name, "true"))
            case Root("context") if name == "claims":
                return YES if is_has else Claims()
            case Root("context" | "principal" as where):
                held = self.context if where == "context" else self.principal
                if is_has:
                    return YES if name in held else NO
                return _literal(held[name]) if name in held else ERROR
        raise Untranslatable(name)

    def _is(self, of: Value, entity_type: str) -> Truth:
        match of:
            case Root("resource"):
                return YES if entity_type == self.entity_type else NO
            case Root("principal"):
                return YES if entity_type == "Actor" else NO
        raise Untranslatable

    def _in(self, of: Value, where: Any) -> Truth:
        if not isinstance(of, Known) or not isinstance(of.value, tuple):
            raise Untranslatable
        return YES if of.value in (where if isinstance(where, frozenset) else {where}) else NO


def actions_of(policy: Mapping[str, Any]) -> frozenset[str] | None:
    """The actions that a policy is about; None for all of them."""
    scope = policy["action"]
    if scope["op"] == "All":
        return None
    named = scope["entities"] if "entities" in scope else [scope["entity"]]
    return frozenset(one["id"] for one in named if one["type"] == "Action")


def purposes_of(policy: Mapping[str, Any]) -> frozenset[str] | None:
    """The purposes that a policy is about; None for all of them, or where it does not begin by asking for one.

    For any other purpose Cedar looks at nothing but this beginning, so the policy can neither hold nor fail.
    """
    conditions = policy["conditions"]
    if not conditions or conditions[0]["kind"] != "when":
        return None
    node = conditions[0]["body"]
    while "&&" in node:
        node = node["&&"]["left"]
    match node:
        case {"==": {"left": {".": {"left": {"Var": "context"}, "attr": "purpose"}}, "right": {"Value": str() as one}}}:
            return frozenset({one})
        case {
            "contains": {
                "left": {"Set": several},
                "right": {".": {"left": {"Var": "context"}, "attr": "purpose"}},
            }
        } if all(isinstance(each.get("Value"), str) for each in several):
            return frozenset(each["Value"] for each in several)
    return None


def _literal(value: Any) -> Value:
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, Mapping):
        entity = value["__entity"]
        return Known((entity["type"], entity["id"]))
    return Known(value)


def _is_never(truth: Truth) -> bool:
    """Whether nothing that follows it in a chain of `&&` is looked at."""
    return truth.true == FALSE


def _not(truth: Truth) -> Truth:
    if truth == YES:
        return NO
    return YES if truth == NO else Truth(truth.false, truth.error)


def _and(left: Truth, right: Truth) -> Truth:
    if left == YES or (right == NO and left.error == FALSE):
        return right
    return Truth(all_of([left.true, right.true]), any_of([left.error, all_of([left.true, right.error])]))


def _or(left: Truth, right: Truth) -> Truth:
    if left == NO:
        return right
    return Truth(
        any_of([left.true, all_of([left.false, right.true])]), any_of([left.error, all_of([left.false, right.error])])
    )


def _same(left: Value, right: Value) -> Truth:
    if ERROR in (left, right):
        return ERROR
    match left, right:
        case Known(one), Known(other):
            return YES if (type(one), one) == (type(other), other) else NO
        case (Column(name), Known(value)) | (Known(value), Column(name)):
            return _one_of(name, frozenset({value}))
        case Truth() as one, Truth() as other:
            return Truth(
                any_of([all_of([one.true, other.true]), all_of([one.false, other.false])]),
                any_of([one.error, other.error]),
            )
        case (Column(name), Truth(_, error)) | (Truth(_, error), Column(name)):
            return Truth(FALSE, any_of([error, opposite(Atom(name, "present"))]))
        case (Known(), Truth(_, error)) | (Truth(_, error), Known()):
            return Truth(FALSE, error)
    raise Untranslatable


def _one_of(name: str, values: frozenset[Any]) -> Truth:
    """Whether a text of the row is among values; it stops with an error where the row has none."""
    present = Atom(name, "present")
    texts = tuple(sorted(value for value in values if isinstance(value, str)))
    equal = Atom(name, "equal", texts) if texts else FALSE
    return Truth(all_of([present, equal]), opposite(present))


def _contains(operator: str, whole: Value, part: Value) -> Truth:
    if ERROR in (whole, part):
        return ERROR
    match operator, whole, part:
        case "contains", Known(frozenset() as values), Known(value):
            return YES if value in values else NO
        case "contains", Known(frozenset() as values), Column(name):
            return _one_of(name, values)
        case "contains", Claims(), Known(str() as name):
            return Truth(Atom(CLAIM + name, "true"))
        case "containsAny", Claims(), Known(frozenset() as names):
            return Truth(any_of(Atom(CLAIM + name, "true") for name in names))
        case "containsAll", Claims(), Known(frozenset() as names):
            return Truth(all_of(Atom(CLAIM + name, "true") for name in names))
        case "containsAny", Known(frozenset() as values), Known(frozenset() as others):
            return YES if values & others else NO
        case "containsAll", Known(frozenset() as values), Known(frozenset() as others):
            return YES if others <= values else NO
    raise Untranslatable
